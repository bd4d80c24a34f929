import { posix } from "node:path";
import { messageOf } from "../../../base/index.js";
import type { Program, ProgramFiles, ProgramInput, ProgramIo, ProgramOutput } from "./program.js";
import { shellBuiltins } from "./shell-builtins.js";
import { ShellJobs } from "./shell-jobs.js";
import { parseScript } from "./shell-parser.js";
import { BrokenPipe, emptyInput, OutputText, ProgramPipe, redirect } from "./shell-streams.js";
import type { Chain, Command, Pipeline, Script } from "./shell-tree.js";
import { ShellVariables } from "./shell-variables.js";
import { expandWord, expandWords, type Variables } from "./shell-words.js";

/** Where a shell finds what is not built into it. */
export type FindProgram = (name: string) => Program | undefined;

export interface Streams {
  readonly stdin: ProgramInput;
  readonly stdout: ProgramOutput;
  readonly stderr: ProgramOutput;
}

export interface ShellOptions {
  /** As `sh -e`: a command that fails ends the shell. */
  readonly exitOnError: boolean;
  /** `$0`, `$1`, … */
  readonly parameters: readonly string[];
}

type Simple = Extract<Command, { kind: "simple" }>;

/** Leaves the shell, or a subshell. */
class ShellExit extends Error {
  constructor(readonly code: number) {
    super(`exit ${code}`);
  }
}

class LoopJump extends Error {
  constructor(readonly kind: "break" | "continue") {
    super(`${kind} outside of a loop`);
  }
}

const brokenPipeCode = 141;

/** Runs scripts inside one process. Commands are functions: only the process itself has a pid. */
export class Shell implements Variables {
  /** The working directory. */
  folder: string;
  readonly jobs: ShellJobs;
  private status = 0;
  private steps = 0;
  /** Above 0 inside a condition, where a failure is an answer. */
  private testing = 0;

  constructor(
    private readonly io: ProgramIo,
    private readonly find: FindProgram,
    private readonly options: ShellOptions,
    readonly variables = new ShellVariables(io.env),
  ) {
    this.folder = io.workingDir;
    this.jobs = new ShellJobs(io);
  }

  /** Runs a script to its end. @returns The exit code. */
  async main(script: Script, streams: Streams): Promise<number> {
    let code: number;
    try {
      await this.run(script, streams);
      code = this.status;
    } catch (error) {
      if (error instanceof BrokenPipe) return brokenPipeCode;
      if (!(error instanceof ShellExit)) throw error;
      code = error.code;
    }
    const atExit = this.jobs.takeExitTrap();
    if (atExit !== undefined) await this.main(parseScript(atExit), streams);
    return code;
  }

  get(name: string): string | undefined {
    const { parameters } = this.options;
    if (name === "?") return String(this.status);
    if (name === "$") return String(this.io.pid);
    if (name === "!") return String(this.jobs.count);
    if (name === "#") return String(Math.max(0, parameters.length - 1));
    if (name === "@" || name === "*") return parameters.slice(1).join(" ");
    if (/^\d$/.test(name)) return parameters[Number(name)];
    return this.variables.get(name);
  }

  async capture(script: Script): Promise<string> {
    const stdout = new OutputText();
    const { stdin, stderr } = this.io;
    this.status = await this.subshell().main(script, { stdin, stderr, stdout });
    return stdout.toString().replace(/\n+$/, "");
  }

  private async run(script: Script, streams: Streams): Promise<void> {
    for (const chain of script) {
      await this.step(streams);
      if (chain.background) {
        const inner = { ...streams, stdin: emptyInput };
        this.jobs.add(this.subshell().main([{ ...chain, background: false }], inner));
        this.status = 0;
      } else await this.chain(chain, streams);
    }
  }

  /** Lets others run now and then, and runs the traps of signals that came meanwhile. */
  private async step(streams: Streams): Promise<void> {
    this.io.signal.throwIfAborted();
    if (++this.steps % 64 === 0) await this.io.sleep(0);
    for (const commands of this.jobs.takeTraps()) await this.run(parseScript(commands), streams);
  }

  private async chain({ first, rest }: Chain, streams: Streams): Promise<void> {
    await this.pipeline(first, streams);
    let last = first;
    for (const { when, pipeline } of rest) {
      if ((this.status === 0) !== (when === "success")) continue;
      await this.pipeline(pipeline, streams);
      last = pipeline;
    }
    const isAnswer = this.testing > 0 || last.negated || last !== (rest.at(-1)?.pipeline ?? first);
    if (this.options.exitOnError && this.status !== 0 && !isAnswer) throw new ShellExit(this.status);
  }

  private async pipeline({ commands, negated }: Pipeline, streams: Streams): Promise<void> {
    const [only, ...others] = commands;
    if (only && others.length === 0) this.status = await this.command(only, streams);
    else this.status = await this.piped(commands, streams);
    if (negated) this.status = this.status === 0 ? 1 : 0;
  }

  private async piped(commands: readonly Command[], streams: Streams): Promise<number> {
    const pipes = commands.slice(1).map(() => new ProgramPipe());
    const codes = await Promise.all(
      commands.map(async (command, index) => {
        const before = pipes[index - 1];
        const after = pipes[index];
        const stdin = before?.input ?? streams.stdin;
        const stdout = after?.output ?? streams.stdout;
        try {
          return await this.subshell().main([asChain(command)], { ...streams, stdin, stdout });
        } finally {
          after?.endOutput();
          before?.endInput();
        }
      }),
    );
    return codes.at(-1) ?? 0;
  }

  private async command(command: Command, outer: Streams): Promise<number> {
    let streams: Streams;
    try {
      streams = await redirect(command.redirects, outer, this, { ...this.io, files: this.files });
    } catch (error) {
      await outer.stderr.write(`sh: ${messageOf(error)}\n`);
      return 1;
    }
    switch (command.kind) {
      case "simple":
        return await this.simple(command, streams);
      case "group":
        if (command.subshell) return await this.subshell().main(command.body, streams);
        await this.run(command.body, streams);
        return this.status;
      case "if":
        return await this.branch(command.branches, streams);
      case "loop":
        return await this.loop(streams, command.body, async () => {
          const succeeded = (await this.test(command.condition, streams)) === 0;
          return succeeded !== command.until;
        });
      case "for": {
        const items = await expandWords(command.items, this);
        return await this.loop(streams, command.body, () => {
          const item = items.shift();
          this.variables.set(command.name, item);
          return Promise.resolve(item !== undefined);
        });
      }
    }
  }

  private async branch(
    branches: Extract<Command, { kind: "if" }>["branches"],
    streams: Streams,
  ): Promise<number> {
    for (const { condition, body } of branches) {
      if (condition && (await this.test(condition, streams)) !== 0) continue;
      await this.run(body, streams);
      return this.status;
    }
    return 0;
  }

  private async test(condition: Script, streams: Streams): Promise<number> {
    this.testing++;
    try {
      await this.run(condition, streams);
      return this.status;
    } finally {
      this.testing--;
    }
  }

  private async loop(streams: Streams, body: Script, goOn: () => Promise<boolean>): Promise<number> {
    let status = 0;
    while (await goOn()) {
      await this.step(streams);
      try {
        await this.run(body, streams);
        status = this.status;
      } catch (error) {
        if (!(error instanceof LoopJump)) throw error;
        status = 0;
        if (error.kind === "break") break;
      }
    }
    return status;
  }

  private async simple(command: Simple, streams: Streams): Promise<number> {
    const args = await expandWords(command.words, this);
    if (args.length > 0) {
      const assigned = new Map<string, string>();
      for (const { name, value } of command.assignments) assigned.set(name, await expandWord(value, this));
      return await this.execute(args, streams, assigned);
    }
    this.status = 0;
    for (const { name, value } of command.assignments) {
      this.variables.set(name, await expandWord(value, this));
    }
    return this.status;
  }

  /** Runs one command. @param assigned Variables for this command alone. */
  async execute(
    args: readonly string[],
    streams: Streams,
    assigned: ReadonlyMap<string, string> = new Map(),
  ): Promise<number> {
    const [name = ""] = args;
    const builtin = shellBuiltins.get(name);
    if (builtin) return await builtin(this, args.slice(1), streams);
    const program = this.find(name);
    if (!program) {
      await streams.stderr.write(`sh: ${name}: not found\n`);
      return 127;
    }
    const env = this.variables.environment(assigned);
    return await program({ ...this.io, ...streams, env, args, workingDir: this.folder, files: this.files });
  }

  /** The files as seen from the working directory. */
  private get files(): ProgramFiles {
    const { files } = this.io;
    return {
      read: (path) => files.read(posix.resolve(this.folder, path)),
      write: (path, content, options) => {
        files.write(posix.resolve(this.folder, path), content, options);
      },
    };
  }

  private subshell(): Shell {
    const shell = new Shell(
      { ...this.io, workingDir: this.folder },
      this.find,
      this.options,
      this.variables.copy(),
    );
    shell.status = this.status;
    shell.testing = this.testing;
    return shell;
  }

  /** Leaves the shell with a code, or with that of the last command. */
  exit(code: number | undefined): never {
    throw new ShellExit(code ?? this.status);
  }

  jump(kind: "break" | "continue"): never {
    throw new LoopJump(kind);
  }

  /** Waits for one job, or for all. */
  async wait(job: number | undefined, streams: Streams): Promise<number> {
    const code = await this.jobs.wait(job);
    await this.step(streams);
    return code;
  }
}

function asChain(command: Command): Chain {
  return { first: { negated: false, commands: [command] }, rest: [], background: false };
}
