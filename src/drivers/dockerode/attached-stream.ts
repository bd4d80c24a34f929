import { ShimError } from "../../base/index.js";
import type { AttachedStream, OutputFrame } from "../../docker/index.js";
import { outputFrames, terminalFrames } from "./demux.js";
import type { Hijacked } from "./hijack.js";

/** The input and output of a process, over a hijacked connection. */
export class HijackedStream implements AttachedStream {
  readonly output: AsyncIterable<OutputFrame>;
  #iterated = false;
  /** Set once it is closed, with the error if there was one. */
  #closed: { readonly error: Error | undefined } | undefined;

  /**
   * @param tty The output is one raw stream without frames.
   * @param toShimError Converts an error of the connection.
   */
  constructor(
    private readonly operation: string,
    private readonly connection: Hijacked,
    private readonly tty: boolean,
    private readonly toShimError: (thrown: unknown) => ShimError,
  ) {
    this.output = { [Symbol.asyncIterator]: () => this.#once() };
  }

  async write(data: Uint8Array): Promise<void> {
    const { socket } = this.connection;
    if (socket.destroyed) throw this.#gone();
    if (socket.writableEnded)
      throw new ShimError("failed-precondition", `${this.operation}: stdin is closed`, {
        operation: this.operation,
      });
    if (socket.write(data)) return;
    await new Promise<void>((resolve, reject) => {
      const drained = () => {
        socket.off("close", closed);
        resolve();
      };
      const closed = () => {
        socket.off("drain", drained);
        reject(this.#gone());
      };
      socket.once("drain", drained).once("close", closed);
    });
  }

  endInput(): void {
    const { socket } = this.connection;
    if (!socket.destroyed && !socket.writableEnded) socket.end();
  }

  destroy(error?: Error): void {
    const { socket, readable } = this.connection;
    if (socket.destroyed) return;
    this.#closed ??= { error };
    readable.destroy();
    socket.destroy();
  }

  #once(): AsyncGenerator<OutputFrame> {
    if (this.#iterated)
      throw new ShimError("internal", `${this.operation}: the output can be read only once`);
    this.#iterated = true;
    return this.#frames();
  }

  async *#frames(): AsyncGenerator<OutputFrame> {
    const { readable } = this.connection;
    try {
      const chunks = readable as AsyncIterable<Buffer>;
      for await (const frame of this.tty ? terminalFrames(chunks) : outputFrames(chunks)) {
        if (this.#closed !== undefined) break;
        yield frame;
      }
    } catch (error) {
      this.#closed ??= { error: this.toShimError(error) };
    } finally {
      this.destroy();
    }
    if (this.#closed?.error !== undefined) throw this.#closed.error;
  }

  #gone(): Error {
    return (
      this.#closed?.error ??
      new ShimError("unavailable", `${this.operation}: the connection to the process is closed`, {
        operation: this.operation,
      })
    );
  }
}
