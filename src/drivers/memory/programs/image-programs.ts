import { posix } from "node:path";
import type { Program } from "./program.js";
import { runShell } from "./shell.js";
import { pause, tools } from "./tools.js";

/** An image's programs by their path, such as `/bin/server`. */
export type ImagePrograms = Readonly<Record<string, Program>>;

/** The programs of the pause image, which has no shell. */
export const pausePrograms: ImagePrograms = { "/pause": pause };

const searchPath = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/**
 * Finds the program of a command. A name without a slash is looked up in the usual folders. Beside an image's own programs
 * there are `sh` and a few small tools, but not in the pause image.
 */
export function findProgram(programs: ImagePrograms, command: string): Program | undefined {
  const paths = command.includes("/")
    ? [posix.resolve("/", command)]
    : searchPath.map((folder) => posix.join(folder, command));
  for (const path of paths) if (Object.hasOwn(programs, path)) return programs[path];
  if (programs === pausePrograms) return undefined;
  const { dir, base } = posix.parse(paths[0] ?? "");
  if (!searchPath.includes(dir)) return undefined;
  if (base === "sh") return (process) => runShell(process, (name) => findProgram(programs, name));
  return tools.get(base);
}
