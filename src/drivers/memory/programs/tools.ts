import { messageOf } from "../../../base/index.js";
import type { ContainerProcess, Program } from "./program.js";

/** The small programs of every image except the pause image. */
export const tools: ReadonlyMap<string, Program> = new Map<string, Program>([
  ["true", () => 0],
  ["false", () => 1],
  ["echo", echo],
  ["cat", cat],
  ["sleep", sleep],
  ["env", printEnvironment],
  ["stty", printTerminalSize],
]);

async function echo({ args, stdout }: ContainerProcess): Promise<void> {
  const newline = args[1] !== "-n";
  await stdout.write(args.slice(newline ? 1 : 2).join(" ") + (newline ? "\n" : ""));
}

async function cat({ args, stdin, stdout, stderr, files }: ContainerProcess): Promise<number> {
  if (args.length < 2) {
    for await (const data of stdin) await stdout.write(data);
    return 0;
  }
  let code = 0;
  for (const path of args.slice(1)) {
    try {
      await stdout.write(files.read(path));
    } catch (error) {
      await stderr.write(`cat: can't open '${path}': ${messageOf(error)}\n`);
      code = 1;
    }
  }
  return code;
}

const unitMillis: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

async function sleep({ args, stderr, sleep }: ContainerProcess): Promise<number> {
  const text = args[1] ?? "";
  const match = /^(\d+(?:\.\d+)?|\.\d+|inf(?:inity)?)([smhd]?)$/.exec(text);
  if (!match?.[1]) {
    await stderr.write(`sleep: invalid number '${text}'\n`);
    return 1;
  }
  const count = match[1].startsWith("inf") ? Infinity : Number(match[1]);
  await sleep(count * (unitMillis[match[2] || "s"] ?? 1000));
  return 0;
}

async function printEnvironment({ env, stdout }: ContainerProcess): Promise<void> {
  for (const [name, value] of Object.entries(env)) await stdout.write(`${name}=${value}\n`);
}

/** Only `stty size` is supported: rows, then columns. */
async function printTerminalSize({ args, tty, terminalSize, ...io }: ContainerProcess): Promise<number> {
  if (!tty || args[1] !== "size") {
    await io.stderr.write("stty: usage: stty size, in a terminal\n");
    return 1;
  }
  const { width = 0, height = 0 } = terminalSize() ?? {};
  await io.stdout.write(`${height} ${width}\n`);
  return 0;
}

/** The pause program: it waits, and exits with 0 on SIGTERM and SIGINT. */
export async function pause({ onSignal, exit, sleep }: ContainerProcess): Promise<void> {
  for (const name of ["SIGTERM", "SIGINT"]) {
    onSignal(name, () => {
      exit(0);
    });
  }
  await sleep(Infinity);
}
