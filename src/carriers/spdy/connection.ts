import type { Duplex } from "node:stream";
import { maxUnsentBytes, onAbort, whenSent, writeBatched } from "../../base/index.js";
import {
  dataHead,
  FrameParser,
  goawayFrame,
  maxDataBytes,
  pingFrame,
  resetFrame,
  SpdyError,
  synReplyFrame,
  synStreamFrame,
  type ControlFrame,
} from "./frames.js";
import { HeaderDecoder, HeaderEncoder, type Headers } from "./headers.js";
import { SpdyStream, type StreamLink } from "./stream.js";

export interface SpdyOptions {
  /** Streams that a server's client opens have odd numbers. */
  readonly role: "server" | "client";
  /** Called for each stream that the peer opens; must accept or reset it. By default all are refused. */
  readonly onStream?: (stream: SpdyStream) => void;
  /** How many streams the peer may have open; 64 by default. */
  readonly maxStreams?: number | undefined;
}

/** Reading from the peer pauses while this much is not consumed: this dialect has no flow control. */
const maxQueuedBytes = 2 * 1024 * 1024;
/** Replies to pings and refused streams are skipped while this much is not sent. */
const maxUnsentReplyBytes = 4 * 1024 * 1024;
/** How long the peer may take to close its side once everything was sent. */
const lingerMs = 60_000;
/** Data up to this size is copied into one buffer with its header, which costs less than a write of its own. */
const joinBytes = 4_096;

const refusedStream = 3;
const cancelled = 5;

/**
 * A connection in Kubernetes' dialect of SPDY/3.1: no windows, no settings, no pushes. It ends when the peer closes it
 * or violates the protocol, or with {@link close} or {@link destroy}.
 */
export class SpdyConnection {
  /** When data was last received or sent, in milliseconds of performance.now(). */
  lastActiveMs = performance.now();
  private readonly parser = new FrameParser();
  private readonly decoder = new HeaderDecoder();
  private readonly encoder = new HeaderEncoder();
  private readonly streams = new Map<number, SpdyStream>();
  private readonly over = new AbortController();
  private lastPeerId = 0;
  private nextId: number;
  private nextPing: number;
  private queuedBytes = 0;
  private sending: Promise<void> | undefined;
  /** The error that has ended the connection. */
  private ended: Error | undefined;
  private closing = false;
  private failure: Error | undefined;

  /** @param transport The connection takes ownership: it reads, writes, and destroys it at the end. */
  constructor(
    private readonly transport: Duplex,
    private readonly options: SpdyOptions,
  ) {
    this.nextId = options.role === "client" ? 1 : 2;
    this.nextPing = options.role === "client" ? 1 : 2;
    transport.on("error", (error) => (this.failure ??= error));
    transport.on("data", (chunk: Buffer) => {
      this.attempt(() => {
        this.onChunk(chunk);
      });
    });
    transport.once("end", () => {
      this.attempt(() => {
        this.parser.end();
        throw new SpdyError("the peer has closed the connection");
      });
    });
    transport.once("close", () => {
      this.finish(this.failure ?? closedError());
    });
  }

  /** Aborts when the connection is closed; the reason is an Error. */
  get gone(): AbortSignal {
    return this.over.signal;
  }

  /** Opens a stream. @throws The error that ended the connection. */
  open(headers: Headers): SpdyStream {
    if (this.gone.aborted) throw this.gone.reason as Error;
    const id = this.nextId;
    this.nextId += 2;
    const stream = new SpdyStream(id, headers, this.link);
    this.streams.set(id, stream);
    this.transport.write(synStreamFrame(id, this.encoder.encode(headers)));
    return stream;
  }

  /** Sends a PING, to detect a dead connection. */
  ping(): void {
    if (this.gone.aborted || this.transport.writableEnded) return;
    this.reply(pingFrame(this.nextPing));
    this.nextPing += 2;
  }

  /** Flushes, sends GOAWAY, and waits for a limited time until the peer has closed its side. */
  async close(): Promise<void> {
    if (this.gone.aborted) return;
    if (!this.closing) {
      this.closing = true;
      for (const stream of this.streams.values()) stream.discardInput();
      this.transport.end(goawayFrame(this.lastPeerId), () => {
        const timer = setTimeout(() => this.transport.destroy(), lingerMs);
        this.transport.once("close", () => {
          clearTimeout(timer);
        });
      });
    }
    await new Promise<void>((resolve) => {
      onAbort(this.gone, resolve);
    });
  }

  /** Ends the connection at once. */
  destroy(error?: Error): void {
    this.failure ??= error;
    this.transport.destroy();
  }

  private readonly link: StreamLink = {
    send: (id, data, fin) => this.send(id, data, fin),
    reply: (id) => {
      this.transport.write(synReplyFrame(id, this.encoder.encode(new Map())));
    },
    reset: (id) => {
      if (!this.transport.writableEnded) this.transport.write(resetFrame(id, cancelled));
    },
    taken: (bytes) => {
      this.queuedBytes -= bytes;
      if (this.queuedBytes <= maxQueuedBytes && this.transport.isPaused()) this.transport.resume();
    },
    closed: (id) => this.streams.delete(id),
  };

  private async send(id: number, data: Uint8Array, fin: boolean): Promise<void> {
    const { transport } = this;
    for (let offset = 0; ; offset += maxDataBytes) {
      if (this.ended) throw this.ended;
      if (transport.writableEnded) return;
      const part = data.subarray(offset, offset + maxDataBytes);
      const last = offset + maxDataBytes >= data.length;
      this.writeData(dataHead(id, part.length, fin && last), part);
      this.lastActiveMs = performance.now();
      if (transport.writableLength > maxUnsentBytes) await this.sent();
      if (last) return;
    }
  }

  private writeData(head: Buffer, data: Uint8Array): void {
    const parts = data.length <= joinBytes ? [Buffer.concat([head, data])] : [head, data];
    writeBatched(this.transport, ...parts);
  }

  /** Shared by all streams, so that the transport has one listener. */
  private async sent(): Promise<void> {
    this.sending ??= whenSent(this.transport).finally(() => (this.sending = undefined));
    await this.sending;
    if (this.transport.destroyed) throw this.ended ?? closedError();
  }

  /** An error ends the connection. */
  private attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.finish(error as Error);
      this.transport.destroy();
    }
  }

  private onChunk(chunk: Buffer): void {
    for (const frame of this.parser.parse(chunk)) {
      if (frame.type === "data") this.onData(frame.id, frame.data, frame.fin);
      else this.onControl(frame);
    }
    if (this.queuedBytes > maxQueuedBytes) this.transport.pause();
  }

  private onControl(frame: ControlFrame): void {
    switch (frame.type) {
      case "syn-stream":
        this.onOpened(frame.id, frame.fin, this.decoder.decode(frame.block));
        break;
      case "syn-reply":
      case "headers":
        // Kubernetes does not use them, but the compression context depends on them.
        this.decoder.decode(frame.block);
        if (frame.fin) this.streams.get(frame.id)?.onEnd();
        break;
      case "reset":
        this.streams.get(frame.id)?.onReset();
        break;
      case "ping":
        // The last bit of the id distinguishes the pings of the two sides.
        if (frame.id % 2 !== this.nextPing % 2) this.reply(pingFrame(frame.id));
        break;
      case "goaway":
        break;
      default:
    }
  }

  private onData(id: number, data: Buffer, fin: boolean): void {
    const stream = this.streams.get(id);
    if (!stream) return;
    this.lastActiveMs = performance.now();
    if (data.length > 0) {
      this.queuedBytes += data.length;
      if (!stream.onData(data)) this.queuedBytes -= data.length;
    }
    if (fin) stream.onEnd();
  }

  private onOpened(id: number, fin: boolean, headers: Headers): void {
    if (id % 2 === this.nextId % 2 || id <= this.lastPeerId)
      throw new SpdyError(`stream ${id} cannot be opened`);
    this.lastPeerId = id;
    const { onStream, maxStreams = 64 } = this.options;
    if (!onStream || this.closing || this.streams.size >= maxStreams) {
      this.reply(resetFrame(id, refusedStream));
      return;
    }
    const stream = new SpdyStream(id, headers, this.link);
    this.streams.set(id, stream);
    onStream(stream);
    if (fin) stream.onEnd();
  }

  /** Sends a reply, unless the peer does not read the earlier ones. */
  private reply(frame: Buffer): void {
    if (!this.transport.writableEnded && this.transport.writableLength < maxUnsentReplyBytes)
      this.transport.write(frame);
  }

  private finish(error: Error): void {
    if (this.ended) return;
    this.ended = error;
    this.over.abort(error);
    for (const stream of this.streams.values()) stream.onGone(error);
    this.streams.clear();
  }
}

function closedError(): SpdyError {
  return new SpdyError("the connection was closed");
}
