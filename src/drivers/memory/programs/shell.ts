import { posix } from "node:path";
import { messageOf } from "../../../base/index.js";
import { bytePipe } from "../pipe.js";
import { parseCommandLine, type Chain, type Command } from "./command-line.js";
import { ShellJobs } from "./jobs.js";
import type { ContainerProcess, Program, ProgramFiles, ProgramOutput } from "./program.js";
import { BrokenPipe, emptyInput, inputFrom, outputTo, redirect, type Streams } from "./streams.js";
import { expandWord, splitWord } from "./words.js";

/** Finds a program of the shell's image. */
type FindProgram = (name: string) => Program | undefined;

const brokenPipeCode = 141;
const notFoundCode = 127;

/** Thrown to end a command line, or a part of one in a pipe or in the background. */
class ShellExit extends Error {
  constructor(readonly code: number) {
    super(`exit ${code}`);
  }
}

/** `sh -c COMMAND_LINE [ARGS…]`, also with `-e`; without `-c` the lines of stdin are run one by one. */
export async function runShell(process: ContainerProcess, find: FindProgram): Promise<number> {
  const [name = "sh", options = "", ...rest] = process.args;
  const { stdin, stdout, stderr } = process;
  if (options === "") return await interactive(process, new Shell(process, find, [name]));
  if (!/^-[elx]*c[celx]*$/.test(options)) {
    await stderr.write("sh: usage: sh -c COMMAND_LINE, or sh alone to read command lines from stdin\n");
    return 2;
  }
  const [source = "", ...parameters] = rest;
  const shell = new Shell(process, find, parameters.length > 0 ? parameters : [name], options.includes("e"));
  return await shell.runSource(source, { stdin, stdout, stderr });
}

async function interactive({ stdin, stdout, stderr, tty }: ContainerProcess, shell: Shell): Promise<number> {
  let code = 0;
  for (;;) {
    if (tty) await stdout.write("# ");
    const line = await stdin.readLine();
    if (line === undefined) return code;
    code = await shell.runSource(line, { stdin: tty ? emptyInput : stdin, stdout, stderr });
    if (shell.exited) return code;
  }
}

/**
 * Runs command lines inside one process: a command is a call of its function, without its own pid. Unlike in a real
 * shell, all variables are passed to programs.
 */
class Shell {
  exited = false;
  private readonly variables: Map<string, string>;
  private readonly jobs: ShellJobs;
  private workingDir: string;
  private status = 0;

  constructor(
    private readonly process: ContainerProcess,
    private readonly find: FindProgram,
    private readonly parameters: readonly string[],
    private readonly exitOnError = false,
  ) {
    this.variables = new Map(Object.entries(process.env));
    this.workingDir = process.workingDir;
    this.jobs = new ShellJobs(process.onSignal);
  }

  /** @returns The exit code; 2 for an invalid command line. */
  async runSource(source: string, streams: Streams): Promise<number> {
    let chains: Chain[];
    try {
      chains = parseCommandLine(source);
    } catch (error) {
      await streams.stderr.write(`sh: ${messageOf(error)}\n`);
      return 2;
    }
    return await this.main(chains, streams);
  }

  private async main(chains: readonly Chain[], streams: Streams): Promise<number> {
    let code: number;
    try {
      await this.run(chains, streams);
      code = this.status;
    } catch (error) {
      if (!(error instanceof ShellExit)) throw error;
      code = error.code;
      this.exited = true;
    }
    const exitTrap = this.jobs.takeExitTrap();
    if (exitTrap !== undefined) await this.runSource(exitTrap, streams);
    return code;
  }

  private async run(chains: readonly Chain[], streams: Streams): Promise<void> {
    for (const chain of chains) {
      if (chain.background) {
        const job = this.fork().main([{ ...chain, background: false }], { ...streams, stdin: emptyInput });
        this.jobs.add(job);
        this.status = 0;
      } else await this.runChain(chain, streams);
      await this.runTraps(streams);
    }
  }

  private async runTraps(streams: Streams): Promise<void> {
    const { status } = this;
    for (const commands of this.jobs.takeTraps()) await this.run(parseCommandLine(commands), streams);
    this.status = status;
  }

  private async runChain({ steps }: Chain, streams: Streams): Promise<void> {
    let last = steps[0];
    for (const step of steps) {
      if (step.after !== undefined && (this.status === 0) !== (step.after === "&&")) continue;
      this.status = await this.runPipeline(step.pipeline, streams);
      last = step;
    }
    if (this.exitOnError && this.status !== 0 && last === steps.at(-1)) throw new ShellExit(this.status);
  }

  private async runPipeline(commands: readonly Command[], streams: Streams): Promise<number> {
    const [only, ...more] = commands;
    if (only && more.length === 0) return await this.runCommand(only, streams);
    const pipes = more.map(() => bytePipe());
    const codes = commands.map(async (command, index) => {
      const before = pipes[index - 1];
      const after = pipes[index];
      const stdin = before ? inputFrom(before) : streams.stdin;
      const stdout = after ? outputTo(after, this.process.signal) : streams.stdout;
      try {
        const step = { after: undefined, pipeline: [command] };
        return await this.fork().main([{ steps: [step], background: false }], { ...streams, stdin, stdout });
      } finally {
        after?.end();
        before?.cancel();
      }
    });
    return (await Promise.all(codes)).at(-1) ?? 0;
  }

  /** A subshell, whose changes do not affect this shell. */
  private fork(): Shell {
    const env = Object.fromEntries(this.variables);
    const process = { ...this.process, env, workingDir: this.workingDir };
    return new Shell(process, this.find, this.parameters, this.exitOnError);
  }

  private async runCommand(command: Command, outer: Streams): Promise<number> {
    let streams: Streams;
    try {
      streams = redirect(command.redirects, outer, { ...this.process, files: this.files }, this.variable);
    } catch (error) {
      await outer.stderr.write(`sh: ${messageOf(error)}\n`);
      return 1;
    }
    const assigned = command.assignments.map(
      ({ name, value }) => [name, expandWord(value, this.variable)] as const,
    );
    const args = command.words.flatMap((word) => splitWord(word, this.variable));
    if (args.length > 0) return await this.execute(args, streams, assigned);
    for (const [name, value] of assigned) this.variables.set(name, value);
    return 0;
  }

  private async execute(
    args: readonly string[],
    streams: Streams,
    assigned: readonly (readonly [string, string])[] = [],
  ): Promise<number> {
    const [name = "", ...operands] = args;
    const builtin = this.builtins.get(name);
    if (builtin) return await builtin(operands, streams);
    const program = this.find(name);
    if (!program) {
      await streams.stderr.write(`sh: ${name}: not found\n`);
      return notFoundCode;
    }
    const { workingDir, files } = this;
    const env = Object.fromEntries([...this.variables, ...assigned]);
    try {
      return ((await program({ ...this.process, ...streams, args, env, workingDir, files })) ?? 0) & 255;
    } catch (error) {
      this.process.signal.throwIfAborted();
      if (error instanceof BrokenPipe) return brokenPipeCode;
      await streams.stderr.write(`${name}: ${messageOf(error)}\n`);
      return 1;
    }
  }

  private readonly builtins = new Map<
    string,
    (operands: readonly string[], streams: Streams) => number | Promise<number>
  >([
    [":", () => 0],
    [
      "exit",
      ([code]) => {
        throw new ShellExit(code === undefined ? this.status : Number(code) & 255);
      },
    ],
    [
      "exec",
      async (args, streams) => {
        throw new ShellExit(await this.execute(args, streams));
      },
    ],
    [
      "export",
      (pairs) => {
        for (const pair of pairs) {
          const at = pair.indexOf("=");
          if (at > 0) this.variables.set(pair.slice(0, at), pair.slice(at + 1));
        }
        return 0;
      },
    ],
    [
      "cd",
      ([path = "/"]) => {
        this.workingDir = posix.resolve(this.workingDir, path);
        return 0;
      },
    ],
    [
      "read",
      async ([name = "REPLY"], { stdin }) => {
        const line = await stdin.readLine();
        this.variables.set(name, line ?? "");
        return line === undefined ? 1 : 0;
      },
    ],
    ["trap", ([commands = "", ...names], { stderr }) => this.trap(commands, names, stderr)],
    ["wait", ([job]) => this.jobs.wait(job === undefined ? undefined : Number(job))],
  ]);

  private async trap(commands: string, names: readonly string[], stderr: ProgramOutput): Promise<number> {
    const bad = names.find((name) => !this.jobs.trap(commands, name));
    if (bad === undefined) return 0;
    await stderr.write(`sh: trap: ${bad}: invalid signal specification\n`);
    return 1;
  }

  private readonly variable = (name: string): string => {
    switch (name) {
      case "?":
        return String(this.status);
      case "$":
        return String(this.process.pid);
      case "!":
        return String(this.jobs.count);
      case "#":
        return String(this.parameters.length - 1);
      default:
        return (/^\d$/.test(name) ? this.parameters[Number(name)] : this.variables.get(name)) ?? "";
    }
  };

  /** The files, relative to the working directory. */
  private get files(): ProgramFiles {
    const { files } = this.process;
    const { workingDir } = this;
    return {
      read: (path) => files.read(posix.resolve(workingDir, path)),
      write: (path, content, options) => {
        files.write(posix.resolve(workingDir, path), content, options);
      },
    };
  }
}
