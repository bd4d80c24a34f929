import { posix } from "node:path";
import { messageOf, onAbort, ShimError, withDeadline } from "../../../base/index.js";
import type { HostCommand, HostCommandResult, HostProcesses } from "../../../host/index.js";
import type { ProcessTable } from "../processes/process-table.js";
import { SIGKILL } from "../processes/signals.js";
import type { FileTree } from "./file-tree.js";
import type { HostFaults } from "./host-faults.js";

/** The process in which a program of the node runs. */
export interface HostProgramIo {
  /** Without the program's own name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly input: Buffer;
  /** Its own process id. */
  readonly pid: number;
  /** Aborts when the process is killed. */
  readonly signal: AbortSignal;
  readonly stdout: (text: string | Uint8Array) => void;
  readonly stderr: (text: string | Uint8Array) => void;
}

/** A program of the node; it returns the exit code. */
export type HostProgram = (io: HostProgramIo) => number | Promise<number>;

/** The programs of the node. A program with an absolute path is a file too. */
export class HostPrograms {
  private readonly programs = new Map<string, HostProgram>();

  constructor(private readonly tree: FileTree) {}

  set(file: string, program: HostProgram): void {
    this.programs.set(file, program);
    if (!file.startsWith("/")) return;
    this.tree.makeDirectory(posix.dirname(file));
    this.tree.replace(file, "", 0o755);
  }

  delete(file: string): void {
    this.programs.delete(file);
    if (file.startsWith("/")) this.tree.removeAll(file);
  }

  find(file: string): HostProgram | undefined {
    return this.programs.get(file);
  }
}

const mostOutputBytes = 16 * 1024 * 1024;

/** The node's processes: those of containers and those of {@link run}. */
export class MemoryHostProcesses implements HostProcesses {
  /** The result of {@link ownOomScoreAdj}. */
  oomScoreAdj = 0;

  constructor(
    private readonly table: ProcessTable,
    private readonly programs: HostPrograms,
    private readonly faults: HostFaults,
  ) {}

  async isAlive(pid: number): Promise<boolean> {
    await this.faults.meet("processes.isAlive", String(pid));
    return this.table.get(pid)?.alive === true;
  }

  async killTree(pid: number): Promise<number> {
    await this.faults.meet("processes.killTree", String(pid));
    return this.table.killTree(pid);
  }

  async killWhere(isMeant: (environment: ReadonlyMap<string, string>) => boolean): Promise<number> {
    await this.faults.meet("processes.killWhere", "");
    return this.table.killWhere(isMeant);
  }

  async ownOomScoreAdj(): Promise<number> {
    await this.faults.meet("processes.ownOomScoreAdj", "");
    return this.oomScoreAdj;
  }

  async run(command: HostCommand): Promise<HostCommandResult> {
    const operation = `run ${command.file}`;
    const program = this.programs.find(command.file);
    if (!program) {
      throw new ShimError("not-found", `${operation}: there is no such program on the node`, { operation });
    }
    return await withDeadline(operation, command, async (signal) => {
      await this.faults.meet("processes.run", command.file, signal);
      return await this.execute(operation, program, command, signal);
    });
  }

  private async execute(
    operation: string,
    program: HostProgram,
    command: HostCommand,
    signal: AbortSignal,
  ): Promise<HostCommandResult> {
    const process = this.table.spawn(
      { name: posix.basename(command.file), environment: command.env ?? {} },
      () => undefined,
    );
    const kill = () => process.send(SIGKILL);
    const unlisten = onAbort(signal, kill);
    const limit = command.maxOutputBytes ?? mostOutputBytes;
    const stdout = new Capture(limit, kill);
    const stderr = new Capture(limit, kill);
    const io: HostProgramIo = {
      args: command.args,
      env: command.env ?? {},
      input: Buffer.from(command.input ?? ""),
      pid: process.pid,
      signal: process.signal,
      stdout: (text) => {
        stdout.add(text);
      },
      stderr: (text) => {
        stderr.add(text);
      },
    };
    void Promise.resolve()
      .then(() => program(io))
      .then(
        (code) => {
          process.finish(code & 255);
        },
        (error: unknown) => {
          stderr.add(messageOf(error));
          process.finish(1);
        },
      );
    const exitCode = await process.ended;
    unlisten();
    if (stdout.overflowed || stderr.overflowed) {
      throw new ShimError("resource-exhausted", `${operation}: it printed more than ${limit} bytes`, {
        operation,
      });
    }
    return { exitCode, stdout: stdout.content(), stderr: stderr.content() };
  }
}

/** Output up to a limit. */
class Capture {
  overflowed = false;
  private readonly chunks: Buffer[] = [];
  private sizeBytes = 0;

  constructor(
    private readonly limitBytes: number,
    private readonly onOverflow: () => void,
  ) {}

  add(text: string | Uint8Array): void {
    if (this.overflowed) return;
    const chunk = Buffer.from(text);
    this.sizeBytes += chunk.length;
    if (this.sizeBytes <= this.limitBytes) this.chunks.push(chunk);
    else {
      this.overflowed = true;
      this.onOverflow();
    }
  }

  content(): Buffer {
    return Buffer.concat(this.chunks);
  }
}
