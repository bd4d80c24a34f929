import { ShimError } from "../../base/index.js";
import type { AttachedStream, OutputFrame } from "../../docker/index.js";
import { Pipe } from "./pipe.js";

/** The input side of a hijacked connection. */
export interface AttachedInput {
  /** Receives input; resolves when it can receive more. */
  write(data: Uint8Array): Promise<void>;
  /** The client has closed its direction. */
  end(): void;
}

/** A hijacked connection to a process in memory. */
export class MemoryAttachedStream implements AttachedStream {
  private readonly frames = new Pipe<OutputFrame>((frame) => frame.data.byteLength);
  private taken = false;
  private gone = false;
  private inputEnded = false;

  /**
   * @param input Receives the client's writes; undefined drops them, as Docker does without stdin.
   * @param wanted The streams that the client asked for.
   * @param onClosed Called once, when the connection has ended for both sides.
   */
  constructor(
    private readonly operation: string,
    private readonly input: AttachedInput | undefined,
    private readonly wanted: { readonly stdout: boolean; readonly stderr: boolean },
    private readonly onClosed: () => void,
  ) {}

  /** Passes output of the process on; resolves when it may write more. */
  async put(frame: OutputFrame): Promise<void> {
    if (!this.wanted[frame.stream]) return;
    await this.frames.write({ stream: frame.stream, data: Buffer.from(frame.data) });
  }

  /** The process has closed its output. */
  finish(): void {
    this.frames.end();
    this.leave();
  }

  get output(): AsyncIterable<OutputFrame> {
    return { [Symbol.asyncIterator]: () => this.iterate() };
  }

  private async *iterate(): AsyncGenerator<OutputFrame> {
    if (this.taken) throw new ShimError("internal", `${this.operation}: its output can be read once`);
    this.taken = true;
    try {
      for await (const frame of this.frames) yield frame;
    } finally {
      this.destroy();
    }
  }

  async write(data: Uint8Array): Promise<void> {
    if (this.gone || this.inputEnded) {
      throw new ShimError("unavailable", `${this.operation}: the connection to the process has gone`, {
        operation: this.operation,
      });
    }
    await this.input?.write(Buffer.from(data));
  }

  endInput(): void {
    if (this.inputEnded || this.gone) return;
    this.inputEnded = true;
    this.input?.end();
  }

  destroy(error?: Error): void {
    this.frames.cancel(error);
    this.endInput();
    this.leave();
  }

  private leave(): void {
    if (this.gone) return;
    this.gone = true;
    this.onClosed();
  }
}
