import { AsyncQueue } from "../../base/index.js";
import type { Headers } from "./headers.js";

/** The part of a connection that a stream needs. */
export interface StreamLink {
  /** Sends data; resolves when more may be sent. Rejects once the connection is closed. */
  send(id: number, data: Uint8Array, fin: boolean): Promise<void>;
  reply(id: number): void;
  reset(id: number): void;
  /** Reports how many received bytes were consumed. */
  taken(bytes: number): void;
  /** Reports that the stream is closed in both directions. */
  closed(id: number): void;
}

/** A stream of a SPDY connection; its two directions end separately. */
export class SpdyStream {
  private readonly queue: AsyncQueue<Buffer>;
  private inputEnded = false;
  private outputEnded = false;
  private readonly whenReset = new AbortController();

  constructor(
    readonly id: number,
    readonly headers: Headers,
    private readonly link: StreamLink,
  ) {
    this.queue = new AsyncQueue({
      onTaken: (data) => {
        link.taken(data.length);
      },
    });
  }

  /**
   * The data from the peer, until it ends its direction. Throws when the connection breaks, and ends early when the
   * stream is reset. Can be iterated once. Leaving the loop drops the rest.
   */
  get input(): AsyncIterable<Buffer> {
    return this.queue;
  }

  /** Aborts when the peer resets the stream, or the connection is closed. */
  get abandoned(): AbortSignal {
    return this.whenReset.signal;
  }

  /** Accepts a stream that the peer has opened. */
  accept(): void {
    this.link.reply(this.id);
  }

  /** Sends data; resolves when more may be sent. Data after the end or a reset is dropped. */
  async write(data: Uint8Array): Promise<void> {
    if (!this.outputEnded && data.length > 0) await this.link.send(this.id, data, false);
  }

  /** Ends our direction after the data written before. Idempotent. */
  end(): void {
    if (this.outputEnded) return;
    this.outputEnded = true;
    this.link.send(this.id, Buffer.alloc(0), true).catch(() => undefined);
    this.closeIfOver();
  }

  /** Resets the stream. */
  reset(): void {
    if (this.inputEnded && this.outputEnded) return;
    this.link.reset(this.id);
    this.onReset();
  }

  /** @returns False when the bytes were dropped. */
  onData(data: Buffer): boolean {
    return this.queue.push(data);
  }

  onEnd(): void {
    this.inputEnded = true;
    this.queue.end();
    this.closeIfOver();
  }

  /** The peer has reset it. */
  onReset(): void {
    this.inputEnded = true;
    this.outputEnded = true;
    this.queue.end();
    this.whenReset.abort();
    this.link.closed(this.id);
  }

  /** The connection is closed. */
  onGone(error: Error): void {
    this.inputEnded = true;
    this.outputEnded = true;
    this.queue.end(error);
    this.whenReset.abort();
  }

  /** Drops the received data, which has no reader. */
  discardInput(): void {
    this.queue.discard();
  }

  private closeIfOver(): void {
    if (this.inputEnded && this.outputEnded) this.link.closed(this.id);
  }
}
