import type { WebSocket } from "ws";
import { AsyncQueue, maxUnsentBytes } from "../../base/index.js";
import { closeSignal } from "../protocols.js";

export interface ChannelOptions {
  /** Messages are text: the channel's number as a digit, and the data in base64. */
  readonly base64: boolean;
  /** A message can close one channel, as from v5 on. */
  readonly halfClose: boolean;
  /** The channels that the peer may write to; data for other channels is dropped. */
  readonly inputs: readonly number[];
}

/** Reading from the peer pauses while this much is not consumed. */
const maxQueuedBytes = 1024 * 1024;

const normalClosure = 1000;

/** The channels of a WebSocket in Kubernetes' protocol, for either side. */
export class WebSocketChannels {
  /** When data was last received or sent, in milliseconds of performance.now(). */
  lastActiveMs = performance.now();
  private readonly queues = new Map<number, AsyncQueue<Buffer>>();
  private readonly over = new AbortController();
  private queuedBytes = 0;
  private failure: Error | undefined;

  constructor(
    private readonly socket: WebSocket,
    private readonly options: ChannelOptions,
  ) {
    for (const channel of options.inputs) {
      this.queues.set(
        channel,
        new AsyncQueue<Buffer>({
          onTaken: (data) => {
            this.taken(data.length);
          },
        }),
      );
    }
    socket.on("message", (data: Buffer) => {
      this.onMessage(data);
    });
    socket.on("error", (error) => (this.failure ??= error));
    socket.once("close", (code) => {
      this.finish(code);
    });
  }

  /** Aborts when the connection is closed; the reason is an Error. */
  get gone(): AbortSignal {
    return this.over.signal;
  }

  /** The data from the peer on a channel; empty for a channel that it may not write to. */
  input(channel: number): AsyncIterable<Buffer> {
    return this.queues.get(channel) ?? emptyQueue();
  }

  /** From now on drops the peer's data on a channel. */
  discard(channel: number): void {
    this.queues.get(channel)?.discard();
  }

  /** Sends data; resolves when more may be sent. @throws When the connection is closed. */
  async write(channel: number, data: Uint8Array): Promise<void> {
    const message = this.options.base64
      ? `${channel}${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64")}`
      : Buffer.concat([Buffer.of(channel), data]);
    this.lastActiveMs = performance.now();
    await this.send(message);
  }

  /** Ends one channel and leaves the others open, if the protocol supports it. */
  endChannel(channel: number): void {
    if (this.options.halfClose) this.send(Buffer.of(closeSignal, channel)).catch(() => undefined);
  }

  /** Sends a ping, to detect a dead connection. */
  ping(): void {
    this.socket.ping(undefined, undefined, () => undefined);
  }

  /** Flushes, sends a close frame, and waits for a limited time until the peer has closed its side. */
  async close(): Promise<void> {
    for (const queue of this.queues.values()) queue.discard();
    if (this.gone.aborted) return;
    const closed = new Promise<void>((resolve) => {
      this.gone.addEventListener("abort", () => {
        resolve();
      });
    });
    // The wait for the peer's close frame is limited, and must start when ours has been sent.
    if (this.socket.bufferedAmount > 0) await Promise.race([this.flushed(), closed]);
    this.socket.close(normalClosure);
    await closed;
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.socket.terminate();
  }

  /** Resolves when everything before has been sent. */
  private async flushed(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.socket.ping(undefined, undefined, () => {
        resolve();
      });
    });
  }

  private send(message: string | Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.gone.aborted || this.socket.readyState !== this.socket.OPEN) {
        reject(this.failure ?? new Error("the WebSocket is closed"));
        return;
      }
      let waiting = true;
      this.socket.send(message, { binary: typeof message !== "string" }, (error) => {
        if (!waiting) return;
        if (error) reject(error);
        else resolve();
      });
      if (this.socket.bufferedAmount > maxUnsentBytes) return;
      waiting = false;
      resolve();
    });
  }

  private onMessage(message: Buffer): void {
    if (message.length === 0) return;
    const { channel, data } = this.parse(message);
    if (this.options.halfClose && channel === closeSignal) {
      const [closed = -1] = data;
      this.queues.get(closed)?.end();
      return;
    }
    const queue = this.queues.get(channel);
    if (!queue || data.length === 0) return;
    this.lastActiveMs = performance.now();
    this.queuedBytes += data.length;
    if (!queue.push(data)) this.queuedBytes -= data.length;
    if (this.queuedBytes > maxQueuedBytes) this.socket.pause();
  }

  private parse(message: Buffer): { channel: number; data: Buffer } {
    const first = message.readUInt8(0);
    if (!this.options.base64) return { channel: first, data: message.subarray(1) };
    return { channel: first - 0x30, data: Buffer.from(message.toString("latin1", 1), "base64") };
  }

  private taken(bytes: number): void {
    this.queuedBytes -= bytes;
    if (this.queuedBytes <= maxQueuedBytes && this.socket.isPaused) this.socket.resume();
  }

  private finish(code: number): void {
    const error = this.failure ?? new Error(`the WebSocket was closed with code ${code}`);
    this.over.abort(error);
    for (const queue of this.queues.values()) queue.end(code === normalClosure ? undefined : error);
  }
}

function emptyQueue(): AsyncQueue<Buffer> {
  const queue = new AsyncQueue<Buffer>();
  queue.end();
  return queue;
}
