import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

export const root = join(import.meta.dirname, "..", "..");

/** Runs a program to its end. @returns What it printed. @throws Error with its error output. */
export async function run(
  file: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, ...inherited } = process.env;
  const env = { ...inherited, LC_ALL: "C.UTF-8", ...options.env };
  const maxBuffer = 64 * 1_048_576;
  return (await promisify(execFile)(file, args, { cwd: options.cwd ?? root, env, maxBuffer })).stdout;
}

/** Whether a program is installed. */
export async function has(program: string): Promise<boolean> {
  return await run("sh", ["-c", 'command -v "$1"', "sh", program]).then(
    () => true,
    () => false,
  );
}
