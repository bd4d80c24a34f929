import { posix } from "node:path";
import type { ProgramInput } from "./program.js";
import type { Shell, Streams } from "./shell.js";

type Builtin = (shell: Shell, args: readonly string[], streams: Streams) => Promise<number> | number;

/** What a shell does itself, since it changes the shell. */
export const shellBuiltins: ReadonlyMap<string, Builtin> = new Map<string, Builtin>([
  ["exit", (shell, [code]) => shell.exit(code === undefined ? undefined : Number(code) & 255)],
  ["break", (shell) => shell.jump("break")],
  ["continue", (shell) => shell.jump("continue")],
  ["trap", trap],
  ["wait", (shell, [job], streams) => shell.wait(job === undefined ? undefined : Number(job), streams)],
  ["export", exportVariables],
  ["unset", unset],
  ["read", read],
  ["cd", changeFolder],
  ["exec", async (shell, args, streams) => shell.exit(await shell.execute(args, streams))],
]);

async function trap(shell: Shell, [commands = "", ...names]: readonly string[], { stderr }: Streams) {
  for (const name of names) {
    if (shell.jobs.trap(commands, name)) continue;
    await stderr.write(`sh: trap: ${name}: invalid signal specification\n`);
    return 1;
  }
  return 0;
}

function exportVariables(shell: Shell, pairs: readonly string[]): number {
  for (const pair of pairs) {
    const [name = "", ...value] = pair.split("=");
    shell.variables.set(name, value.length > 0 ? value.join("=") : undefined, { exported: true });
  }
  return 0;
}

function unset(shell: Shell, names: readonly string[]): number {
  for (const name of names) shell.variables.unset(name);
  return 0;
}

async function read(shell: Shell, args: readonly string[], { stdin }: Streams): Promise<number> {
  const names = args.filter((name) => name !== "-r");
  const line = await readLine(stdin);
  const fields = (line ?? "").split(/[ \t]+/).filter((field) => field !== "");
  for (const [index, name] of names.entries()) {
    shell.variables.set(
      name,
      index === names.length - 1 ? fields.slice(index).join(" ") : (fields[index] ?? ""),
    );
  }
  return line === undefined ? 1 : 0;
}

function changeFolder(shell: Shell, [path = "/"]: readonly string[]): number {
  shell.folder = posix.resolve(shell.folder, path);
  shell.variables.set("PWD", shell.folder);
  return 0;
}

/** The next line without its newline; undefined at the end. */
export async function readLine(stdin: ProgramInput): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = await stdin.read();
    if (!chunk) return chunks.length > 0 ? Buffer.concat(chunks).toString() : undefined;
    const end = chunk.indexOf(10);
    chunks.push(end < 0 ? chunk : chunk.subarray(0, end));
    if (end < 0) continue;
    if (end + 1 < chunk.length) stdin.unread(chunk.subarray(end + 1));
    return Buffer.concat(chunks).toString();
  }
}
