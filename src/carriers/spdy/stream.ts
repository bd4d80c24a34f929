import { ByteQueue } from "../byte-queue.js";
import type { Headers } from "./headers.js";

/** What a stream needs of its connection. */
export interface StreamLink {
  /** Sends data; resolves when more may be sent. Rejects once the connection has gone. */
  send(id: number, data: Uint8Array, fin: boolean): Promise<void>;
  reply(id: number): void;
  reset(id: number): void;
  /** So many bytes of what came were taken. */
  taken(bytes: number): void;
  /** Nothing more comes or goes on the stream. */
  closed(id: number): void;
}

/** A stream of a SPDY connection; each side may end its half before the other. */
export class SpdyStream {
  private readonly queue: ByteQueue;
  private inputEnded = false;
  private outputEnded = false;
  private readonly whenReset = new AbortController();

  constructor(
    readonly id: number,
    readonly headers: Headers,
    private readonly link: StreamLink,
  ) {
    this.queue = new ByteQueue((bytes) => {
      link.taken(bytes);
    });
  }

  /**
   * What the peer sends, until it ends its half; throws when the connection breaks, and ends early when the stream
   * is reset. May be iterated once. Leaving the loop drops the rest.
   */
  get input(): AsyncIterable<Buffer> {
    return this.queue;
  }

  /** Aborts when the peer gives the stream up, or its connection has gone. */
  get abandoned(): AbortSignal {
    return this.whenReset.signal;
  }

  /** Accepts a stream that the peer has opened. */
  accept(): void {
    this.link.reply(this.id);
  }

  /** Sends data; resolves when more may be sent. Data after the end or a reset is dropped. */
  async write(data: Uint8Array): Promise<void> {
    if (this.outputEnded || data.length === 0) return;
    await this.link.send(this.id, data, false);
  }

  /** Ends our half after the data written before. Idempotent. */
  end(): void {
    if (this.outputEnded) return;
    this.outputEnded = true;
    this.link.send(this.id, Buffer.alloc(0), true).catch(() => undefined);
    this.closeIfOver();
  }

  /** Gives the stream up, both halves. */
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

  /** The connection has gone. */
  onGone(error: Error): void {
    this.inputEnded = true;
    this.outputEnded = true;
    this.queue.end(error);
    this.whenReset.abort();
  }

  /** The data that arrives has no reader. */
  discardInput(): void {
    this.queue.discard();
  }

  private closeIfOver(): void {
    if (this.inputEnded && this.outputEnded) this.link.closed(this.id);
  }
}
