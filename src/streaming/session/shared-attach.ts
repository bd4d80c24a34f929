import { PassThrough, type Readable } from "node:stream";
import { whenSent } from "../../base/index.js";
import type { AttachedStream, DockerService, OutputFrame } from "../../docker/index.js";

/**
 * Connections to the outputs of containers, each shared by all clients of a container. Docker detects a disconnect only
 * when it reads from the client, which it does for a container with a stdin, or when the container writes something.
 * So Docker would keep a connection for each former client of a silent container; this way it keeps one, which the next
 * client uses.
 */
export class SharedAttaches {
  private readonly open = new Map<string, Promise<SharedAttach>>();

  constructor(private readonly docker: DockerService) {}

  /** The output frames from now on; destroy the stream to leave. @throws As Docker's attach. */
  async join(containerId: string, tty: boolean): Promise<Readable> {
    let shared = this.open.get(containerId);
    if (!shared) {
      shared = this.attach(containerId, tty);
      this.open.set(containerId, shared);
      shared.catch(() => this.open.delete(containerId));
    }
    return (await shared).join() ?? (await this.join(containerId, tty));
  }

  private async attach(containerId: string, tty: boolean): Promise<SharedAttach> {
    const options = { stdin: false, stdout: true, stderr: true, tty };
    const stream = await this.docker.containers.attach(containerId, options);
    return new SharedAttach(stream, () => this.open.delete(containerId));
  }
}

class SharedAttach {
  private readonly clients = new Set<PassThrough>();
  private hasEnded = false;

  /** @param onEnd Called once, when clients can no longer join. */
  constructor(
    private readonly stream: AttachedStream,
    private readonly onEnd: () => void,
  ) {
    // The first client joins before anything is read.
    setImmediate(() => void this.pump());
  }

  /** Undefined when the connection has ended. */
  join(): Readable | undefined {
    if (this.hasEnded) return undefined;
    const client = new PassThrough({ objectMode: true });
    this.clients.add(client);
    client.once("close", () => this.clients.delete(client)).on("error", () => undefined);
    return client;
  }

  private async pump(): Promise<void> {
    let failure: Error | undefined;
    try {
      for await (const frame of this.stream.output) {
        if (this.clients.size === 0) {
          this.end();
          break;
        }
        await Promise.all([...this.clients].map((client) => put(client, frame)));
      }
    } catch (error) {
      failure = error as Error;
    }
    this.end();
    for (const client of this.clients) {
      if (failure) client.destroy(failure);
      else client.end();
    }
  }

  private end(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.onEnd();
  }
}

/** Resolves when the client can receive more, or has left. */
async function put(client: PassThrough, frame: OutputFrame): Promise<void> {
  if (!client.destroyed && !client.write(frame)) await whenSent(client);
}
