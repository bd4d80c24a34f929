import { connect, type Socket } from "node:net";
import type { Endpoint } from "../../../base/index.js";
import type { EngineCall } from "../call.js";
import { ChunkedBody } from "./chunked-body.js";
import { Malformed, Truncated } from "../failures.js";
import { connectOptions } from "../hijack.js";

/** Shared by all connections: what a read gives is copied out of it at once. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);
const maxHeadBytes = 64 * 1024;
const headEnd = Buffer.from("\r\n\r\n");

/**
 * An HTTP answer whose connection is read only when its reader asks for more. Meanwhile the data stays in the kernel's
 * buffer, and Docker blocks when that is full.
 * @see README.md in this folder, for why Node's own HTTP client does not do
 */
export class PulledAnswer {
  status = 0;
  private readonly socket: Socket;
  private head: Buffer | undefined = Buffer.alloc(0);
  private onHead: () => void = () => undefined;
  /** Undefined for a body that ends with its connection. */
  private chunks: ChunkedBody | undefined;
  /** What was read and not consumed; until it is, nothing more is read. */
  private part: Buffer | undefined;
  private reader: Reader | undefined;
  private isOver = false;
  private error: Error | undefined;

  /**
   * Sends a GET, and resolves with the head of the answer.
   * @param path With the API's version and the query.
   * @param call Its signal closes the connection.
   * @throws The connection's own error; Malformed, Truncated.
   */
  static async get(endpoint: Endpoint, path: string, call: EngineCall): Promise<PulledAnswer> {
    const answer = new PulledAnswer(endpoint, path, call.signal);
    try {
      await call.guard(new Promise<void>((resolve) => (answer.onHead = resolve)));
      if (answer.head) throw answer.error ?? new Truncated("the connection ended within the answer");
      return answer;
    } catch (error) {
      answer.destroy();
      throw error;
    }
  }

  private constructor(endpoint: Endpoint, path: string, signal: AbortSignal) {
    const socket = (this.socket = connect({
      ...connectOptions(endpoint),
      onread: {
        buffer: readBuffer,
        callback: (sizeBytes) => this.take(Buffer.from(readBuffer.subarray(0, sizeBytes))),
      },
    }));
    const abandon = () => {
      this.end(new Truncated("the connection was closed"));
      socket.destroy();
    };
    signal.addEventListener("abort", abandon, { once: true });
    socket.on("error", (error) => {
      this.end(error);
    });
    socket.on("end", () => {
      this.end();
    });
    socket.on("close", () => {
      signal.removeEventListener("abort", abandon);
      this.end(new Truncated("the connection was closed"));
    });
    const host = endpoint.kind === "unix" ? "docker" : `${endpoint.host}:${endpoint.port}`;
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  }

  /**
   * The body, piece by piece, for one reader.
   * @throws The connection's own error; Malformed; Truncated when it ends too early.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (let part = await this.next(); part; part = await this.next()) yield part;
  }

  /** Closes the connection. Idempotent. */
  destroy(): void {
    this.socket.destroy();
  }

  private next(): Promise<Buffer | undefined> {
    return new Promise((resolve, reject) => {
      this.reader = { resolve, reject };
      if (!this.deliver()) this.socket.resume();
    });
  }

  /** @returns True to read on: the head is not complete, or the reader still waits. */
  private take(bytes: Buffer): boolean {
    try {
      const body = this.head ? this.takeHead(this.head, bytes) : bytes;
      const part = this.chunks ? this.chunks.decode(body) : body;
      if (part.length > 0) this.part = part;
      if (this.chunks?.isOver === true) this.end();
    } catch (error) {
      this.end(error as Error);
    }
    this.deliver();
    return !this.isOver && (this.head !== undefined || this.reader !== undefined);
  }

  /** @returns What follows the head. */
  private takeHead(before: Buffer, bytes: Buffer): Buffer {
    const head = Buffer.concat([before, bytes]);
    const end = head.indexOf(headEnd);
    if (end < 0) {
      if (head.length > maxHeadBytes) throw new Malformed(`its head is longer than ${maxHeadBytes} bytes`);
      this.head = head;
      return Buffer.alloc(0);
    }
    const text = head.toString("latin1", 0, end);
    const status = /^HTTP\/1\.[01] (\d{3})\b/.exec(text)?.[1];
    if (status === undefined) throw new Malformed(`it begins with ${JSON.stringify(text.slice(0, 64))}`);
    this.status = Number(status);
    if (/^transfer-encoding:.*\bchunked\s*$/im.test(text)) this.chunks = new ChunkedBody();
    this.head = undefined;
    this.onHead();
    return head.subarray(end + headEnd.length);
  }

  /** The body has ended; only the first call counts. */
  private end(error?: Error): void {
    if (this.isOver) return;
    this.isOver = true;
    const isCut = this.head !== undefined || this.chunks?.isOver === false;
    this.error = error ?? (isCut ? new Truncated("the connection ended within the answer") : undefined);
    this.onHead();
    this.deliver();
  }

  /** Settles the reader's promise. @returns False when there is nothing to deliver. */
  private deliver(): boolean {
    const { reader, part } = this;
    if (!part && !this.isOver) return false;
    if (!reader) return true;
    this.reader = undefined;
    this.part = undefined;
    if (part) reader.resolve(part);
    else if (this.error) reader.reject(this.error);
    else reader.resolve(undefined);
    return true;
  }
}

interface Reader {
  readonly resolve: (part: Buffer | undefined) => void;
  readonly reject: (error: Error) => void;
}
