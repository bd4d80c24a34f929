import { isKind, ShimError } from "../../base/index.js";
import type { ProcessIo, ProcessResult, PutOutput, TerminalSize } from "../../carriers/index.js";
import { cannotRun, execExitCode, newExecMark, type EndingExec } from "../../containers/index.js";
import type { AttachedStream, DockerService } from "../../docker/index.js";
import type { ExecEnds, ExpectedEnd } from "../../inventory/index.js";
import type { WantedStreams } from "../tokens.js";
import type { ExecRecords } from "./exec-records.js";
import { Resizer } from "./resizer.js";

export interface ExecSessionContext {
  readonly docker: DockerService;
  readonly execEnds: ExecEnds;
  readonly records: ExecRecords;
  /** The process keeps running when its client disconnects. */
  readonly keepAbandoned: boolean;
}

export interface ExecOptions {
  readonly containerId: string;
  readonly command: readonly string[];
  readonly streams: WantedStreams;
}

/**
 * Starts a command in a container. An exec that was created is always started, because Docker frees an exec only when
 * it has ended: if the client has disconnected by then, the session is abandoned.
 * @throws ShimError "failed-precondition" when the container does not run.
 */
export async function openExec(options: ExecOptions, context: ExecSessionContext): Promise<ProcessIo> {
  const { containerId, command, streams } = options;
  const { docker, execEnds, records, keepAbandoned } = context;
  const { tty } = streams;
  const mark = newExecMark();
  const spec = { command, env: [mark], ...streams, stderr: streams.stderr && !tty };
  let id: string;
  try {
    id = await docker.execs.create(containerId, spec);
  } catch (error) {
    if (!isKind(error, "conflict")) throw error;
    throw new ShimError("failed-precondition", error.message, { cause: error });
  }
  const exec = { id, containerId, mark };
  const end = execEnds.expect(id);
  // The record is on disk long before Docker has a process for the exec.
  const recorded = keepAbandoned ? undefined : records.add(exec);
  try {
    const stream = await docker.execs.start(id, { tty });
    await recorded;
    return new ExecSession(exec, stream, end, streams, context);
  } catch (error) {
    end.forget();
    await recorded;
    if (!isKind(error, "invalid-argument")) {
      // It may have started nevertheless.
      void records.kill(exec);
      throw error;
    }
    const { exitCode, stderr } = await cannotRun(error, id, docker);
    void records.remove(id);
    return notRun(exitCode, stderr, spec.stderr);
  }
}

class ExecSession implements ProcessIo {
  private readonly resizer: Resizer;
  private abandoned: Promise<void> | undefined;

  constructor(
    private readonly exec: EndingExec,
    private readonly stream: AttachedStream,
    private readonly end: ExpectedEnd,
    private readonly streams: WantedStreams,
    private readonly context: ExecSessionContext,
  ) {
    this.resizer = new Resizer((size, signal) => context.docker.execs.resize(exec.id, size, { signal }));
  }

  async readOutput(put: PutOutput): Promise<void> {
    for await (const { stream, data } of this.stream.output) await put(stream, data);
  }

  write(data: Uint8Array): Promise<void> {
    return this.stream.write(data);
  }

  endInput(): void {
    // Docker ends the session of a terminal when its input ends.
    if (!this.streams.tty) this.stream.endInput();
  }

  resize(size: TerminalSize): void {
    if (this.streams.tty) this.resizer.resize(size);
  }

  async result(): Promise<ProcessResult> {
    if (this.abandoned) return { failure: "the client disconnected" };
    try {
      return { exitCode: await execExitCode(this.context.docker, this.exec.id, this.end) };
    } finally {
      this.release();
      await this.context.records.remove(this.exec.id);
    }
  }

  abandon(): Promise<void> {
    this.abandoned ??= this.leave();
    return this.abandoned;
  }

  private async leave(): Promise<void> {
    this.release();
    const { keepAbandoned, records } = this.context;
    if (!keepAbandoned) await records.kill(this.exec);
  }

  private release(): void {
    this.resizer.stop();
    this.end.forget();
    this.stream.destroy();
  }
}

/** The output and exit code for a command that does not exist, as in a shell. */
function notRun(exitCode: number, data: Uint8Array, hasStderr: boolean): ProcessIo {
  return {
    readOutput: (put) => put(hasStderr ? "stderr" : "stdout", data),
    write: () => Promise.reject(new Error("the command could not be run")),
    endInput: () => undefined,
    resize: () => undefined,
    result: () => Promise.resolve({ exitCode }),
    abandon: () => Promise.resolve(),
  };
}
