import { isKind, ShimError } from "../../base/index.js";
import type { ProcessIo, ProcessOutput, ProcessResult, TerminalSize } from "../../carriers/index.js";
import type { AttachedStream, DockerService } from "../../docker/index.js";
import type { WorkloadRecord } from "../../inventory/index.js";
import type { WantedStreams } from "../tokens.js";
import { Resizer } from "./resizer.js";

/**
 * Attaches to a container's first process: what it writes from now on, and its stdin where it has one.
 * @throws ShimError "failed-precondition" when the container does not run.
 */
export async function openAttach(
  { id, docker: { config } }: WorkloadRecord,
  streams: WantedStreams,
  docker: DockerService,
): Promise<ProcessIo> {
  const tty = config.tty ?? false;
  const closesStdin = config.stdinOnce === true && !tty;
  // Docker notices that a client has left only while it reads from it: without stdin the connection would stay until
  // the container writes something. Where the end of a client's input is the end of the container's, it cannot be.
  const stdin = streams.stdin || !closesStdin;
  try {
    const stream = await docker.containers.attach(id, { ...streams, stdin, tty });
    return new AttachSession(id, stream, { tty, closesStdin, takesInput: streams.stdin }, docker);
  } catch (error) {
    if (!isKind(error, "conflict")) throw error;
    throw new ShimError("failed-precondition", error.message, { cause: error });
  }
}

class AttachSession implements ProcessIo {
  private readonly resizer: Resizer;

  constructor(
    containerId: string,
    private readonly stream: AttachedStream,
    private readonly traits: {
      readonly tty: boolean;
      readonly closesStdin: boolean;
      readonly takesInput: boolean;
    },
    docker: DockerService,
  ) {
    this.resizer = new Resizer((size, signal) => docker.containers.resize(containerId, size, { signal }));
  }

  get output(): AsyncIterable<ProcessOutput> {
    return this.stream.output;
  }

  async write(data: Uint8Array): Promise<void> {
    if (this.traits.takesInput) await this.stream.write(data);
  }

  endInput(): void {
    // Otherwise the container's stdin stays open for the next client, and Docker would end this one's output.
    if (this.traits.takesInput && this.traits.closesStdin) this.stream.endInput();
  }

  resize(size: TerminalSize): void {
    if (this.traits.tty) this.resizer.resize(size);
  }

  result(): Promise<ProcessResult> {
    this.leave();
    return Promise.resolve({ exitCode: 0 });
  }

  abandon(): Promise<void> {
    this.leave();
    return Promise.resolve();
  }

  private leave(): void {
    this.resizer.stop();
    this.stream.destroy();
  }
}
