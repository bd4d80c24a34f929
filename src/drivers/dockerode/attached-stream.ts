import {
  maxUnsentBytes,
  readItems,
  ShimError,
  whenSent,
  writeBatched,
  type AsyncQueue,
} from "../../base/index.js";
import type { AttachedStream, OutputFrame } from "../../docker/index.js";
import { OutputParser, terminalOutput } from "./demux.js";
import type { Hijacked } from "./hijack.js";

/** The input and output of a process, over a hijacked connection. */
export class HijackedStream implements AttachedStream {
  readonly output: AsyncIterable<OutputFrame>;
  #frames: AsyncQueue<OutputFrame> | undefined;
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
    this.output = { [Symbol.asyncIterator]: () => this.#read() };
  }

  async write(data: Uint8Array): Promise<void> {
    const { socket } = this.connection;
    if (socket.destroyed) throw this.#gone();
    if (socket.writableEnded)
      throw new ShimError("failed-precondition", `${this.operation}: stdin is closed`, {
        operation: this.operation,
      });
    writeBatched(socket, data);
    if (socket.writableLength <= maxUnsentBytes) return;
    await whenSent(socket);
    if (this.connection.socket.destroyed) throw this.#gone();
  }

  endInput(): void {
    const { socket } = this.connection;
    if (!socket.destroyed && !socket.writableEnded) socket.end();
  }

  destroy(error?: Error): void {
    const { socket, readable } = this.connection;
    if (socket.destroyed) return;
    this.#closed ??= { error };
    this.#frames?.discard(error);
    readable.destroy();
    socket.destroy();
  }

  #read(): AsyncIterator<OutputFrame> {
    if (this.#frames) throw new ShimError("internal", `${this.operation}: the output can be read only once`);
    this.#frames = readItems(this.connection.readable, this.tty ? terminalOutput : new OutputParser(), {
      toError: (error) => (this.#closed ??= { error: this.toShimError(error) }).error,
      onDone: () => {
        this.destroy();
      },
    });
    if (this.#closed) this.#frames.discard(this.#closed.error);
    return this.#frames;
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
