import { messageOf } from "../../../base/index.js";
import { signalNumber, SIGTERM } from "../processes/signals.js";
import { printf, unescapeText } from "./printf.js";
import type { Program, ProgramIo } from "./program.js";
import { Shell, type FindProgram } from "./shell.js";
import { readLine } from "./shell-builtins.js";
import { ShellSyntaxError } from "./shell-lexer.js";
import { emptyInput } from "./shell-streams.js";
import { parseScript } from "./shell-parser.js";
import { testExpression } from "./test-expression.js";

/** The programs that every image has but the pause image. `find` gives a shell what it may run. */
export function builtinPrograms(find: FindProgram): Readonly<Record<string, Program>> {
  return {
    true: () => 0,
    ":": () => 0,
    false: () => 1,
    echo,
    printf: async ({ args, stdout }) => {
      await stdout.write(printf(args.slice(1)));
      return 0;
    },
    cat,
    sleep,
    pause,
    env: printEnvironment,
    printenv: printEnvironment,
    hostname: async ({ hostname, stdout }) => {
      await stdout.write(`${hostname}\n`);
      return 0;
    },
    pwd: async ({ workingDir, stdout }) => {
      await stdout.write(`${workingDir}\n`);
      return 0;
    },
    whoami: async ({ user, stdout }) => {
      await stdout.write(`${user === "" || user === "0" ? "root" : user}\n`);
      return 0;
    },
    kill,
    stty,
    test: (io) => testExpression(io.args.slice(1), io.files),
    "[": (io) => testExpression(io.args.slice(1, -1), io.files),
    seq,
    head,
    wc,
    sh: (io) => shell(io, find),
  };
}

async function echo({ args, stdout }: ProgramIo): Promise<number> {
  let words = args.slice(1);
  let newline = true;
  let escapes = false;
  while (words[0] !== undefined && /^-[neE]+$/.test(words[0])) {
    if (words[0].includes("n")) newline = false;
    if (words[0].includes("e")) escapes = true;
    words = words.slice(1);
  }
  const text = words.join(" ");
  await stdout.write((escapes ? unescapeText(text) : text) + (newline ? "\n" : ""));
  return 0;
}

async function cat({ args, stdin, stdout, stderr, files }: ProgramIo): Promise<number> {
  const paths = args.slice(1);
  let code = 0;
  for (const path of paths.length === 0 ? ["-"] : paths) {
    if (path === "-") {
      for (let data = await stdin.read(); data; data = await stdin.read()) await stdout.write(data);
      continue;
    }
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

async function sleep({ args, stderr, sleep }: ProgramIo): Promise<number> {
  let total = 0;
  for (const text of args.slice(1)) {
    const match = /^(\d*\.?\d+|inf(?:inity)?)([smhd]?)$/.exec(text);
    if (!match?.[1]) {
      await stderr.write(`sleep: invalid number '${text}'\n`);
      return 1;
    }
    total += match[1].startsWith("inf") ? Infinity : Number(match[1]) * (unitMillis[match[2] || "s"] ?? 1000);
  }
  if (args.length < 2) {
    await stderr.write("sleep: how long?\n");
    return 1;
  }
  await sleep(total);
  return 0;
}

/** Waits for ever, and leaves with 0 on SIGTERM and SIGINT: what holds a pod's namespaces. */
export async function pause({ onSignal, exit, sleep }: ProgramIo): Promise<number> {
  for (const name of ["SIGTERM", "SIGINT"]) {
    onSignal(name, () => {
      exit(0);
    });
  }
  await sleep(Infinity);
  return 0;
}

async function printEnvironment({ args, env, stdout }: ProgramIo): Promise<number> {
  const names = args.slice(1);
  for (const [name, value] of Object.entries(env)) {
    if (names.length === 0) await stdout.write(`${name}=${value}\n`);
    else if (names.includes(name)) await stdout.write(`${value}\n`);
  }
  return names.every((name) => Object.hasOwn(env, name)) ? 0 : 1;
}

async function kill({ args, stderr, kill }: ProgramIo): Promise<number> {
  let signal: number | undefined = SIGTERM;
  const pids: string[] = [];
  const rest = args.slice(1);
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "-s") signal = signalNumber(rest.shift() ?? "");
    else if (word.startsWith("-")) signal = signalNumber(word.slice(1));
    else pids.push(word);
  }
  if (signal === undefined || pids.length === 0) {
    await stderr.write("kill: usage: kill [-SIGNAL] PID...\n");
    return 1;
  }
  let code = 0;
  for (const pid of pids) {
    if (kill(Number(pid), signal)) continue;
    await stderr.write(`kill: can't kill pid ${pid}: No such process\n`);
    code = 1;
  }
  return code;
}

/** Only `stty size` is known: rows, then columns. */
async function stty({ args, tty, terminalSize, stdout, stderr }: ProgramIo): Promise<number> {
  if (!tty || args[1] !== "size") {
    await stderr.write("stty: usage: stty size, in a terminal\n");
    return 1;
  }
  const { width = 0, height = 0 } = terminalSize() ?? {};
  await stdout.write(`${height} ${width}\n`);
  return 0;
}

async function seq({ args, stdout, sleep }: ProgramIo): Promise<number> {
  const numbers = args.slice(1).map(Number);
  const [first, last] = numbers.length > 1 ? [numbers[0] ?? 1, numbers.at(-1) ?? 0] : [1, numbers[0] ?? 0];
  for (let number = first; number <= last; number++) {
    await stdout.write(`${number}\n`);
    if (number % 512 === 0) await sleep(0);
  }
  return 0;
}

async function head({ args, stdin, stdout }: ProgramIo): Promise<number> {
  const [option, count = "10"] = args.slice(1);
  let left = Number(count);
  if (option === "-c") {
    while (left > 0) {
      const data = await stdin.read();
      if (!data) break;
      await stdout.write(data.subarray(0, left));
      left -= data.length;
    }
    return 0;
  }
  for (; left > 0; left--) {
    const line = await readLine(stdin);
    if (line === undefined) break;
    await stdout.write(`${line}\n`);
  }
  return 0;
}

async function wc({ args, stdin, stdout }: ProgramIo): Promise<number> {
  let bytes = 0;
  let lines = 0;
  for (let data = await stdin.read(); data; data = await stdin.read()) {
    bytes += data.length;
    for (const byte of data) if (byte === 10) lines++;
  }
  await stdout.write(`${args[1] === "-l" ? lines : bytes}\n`);
  return 0;
}

async function shell(io: ProgramIo, find: FindProgram): Promise<number> {
  const { args, stdin, stdout, stderr } = io;
  let exitOnError = false;
  let rest = args.slice(1);
  let inline = false;
  while (!inline && rest[0] !== undefined && /^-[ceilx]+$/.test(rest[0])) {
    exitOnError ||= rest[0].includes("e");
    inline = rest[0].includes("c");
    rest = rest.slice(1);
  }
  const source = inline ? (rest.shift() ?? "") : rest[0];
  const parameters = rest.length > 0 ? rest : ["sh"];
  const run = new Shell(io, find, { exitOnError, parameters });
  try {
    if (source !== undefined) {
      const text = inline ? source : Buffer.from(io.files.read(source)).toString();
      return await run.main(parseScript(text), { stdin, stdout, stderr });
    }
    return await interactive(run, io);
  } catch (error) {
    if (io.signal.aborted) throw error;
    await stderr.write(`sh: ${messageOf(error)}\n`);
    return 2;
  }
}

async function interactive(run: Shell, { stdin, stdout, stderr, tty }: ProgramIo): Promise<number> {
  let code = 0;
  for (;;) {
    if (tty) await stdout.write("# ");
    const line = await readLine(stdin);
    if (line === undefined) return code;
    try {
      const script = parseScript(line);
      code = await run.main(script, { stdin: tty ? emptyInput : stdin, stdout, stderr });
      if (/^\s*exit\b/.test(line)) return code;
    } catch (error) {
      if (!(error instanceof ShellSyntaxError)) throw error;
      await stderr.write(`sh: ${error.message}\n`);
      code = 2;
    }
  }
}
