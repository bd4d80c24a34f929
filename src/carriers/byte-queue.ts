/**
 * A queue of bytes between one writer and one reader. Bytes pushed before the end are read before it. The writer
 * never blocks; `onTaken` reports how much the reader has consumed.
 */
export class ByteQueue implements AsyncIterable<Buffer> {
  private chunks: Buffer[] = [];
  private ended = false;
  private error: Error | undefined;
  private wake: (() => void) | undefined;
  private left = false;

  /** @param onTaken Called with the number of bytes that the reader has taken or that were dropped. */
  constructor(private readonly onTaken: (bytes: number) => void = () => undefined) {}

  /** @returns False when the bytes were dropped because there is no reader. */
  push(data: Buffer): boolean {
    if (this.ended || this.left) return false;
    this.chunks.push(data);
    this.notify();
    return true;
  }

  /** No more bytes; the reader gets `error`, if any, once it has read the rest. Idempotent. */
  end(error?: Error): void {
    if (this.ended) return;
    this.ended = true;
    this.error = error;
    this.notify();
  }

  /** Drops all bytes, queued and future ones. */
  discard(): void {
    this.left = true;
    for (const chunk of this.chunks.splice(0)) this.onTaken(chunk.length);
    this.end();
    this.notify();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        const chunk = this.chunks.shift();
        if (chunk !== undefined) {
          this.onTaken(chunk.length);
          yield chunk;
        } else if (this.ended) {
          if (this.error && !this.left) throw this.error;
          return;
        } else {
          await new Promise<void>((resolve) => (this.wake = resolve));
        }
      }
    } finally {
      this.discard();
    }
  }

  private notify(): void {
    this.wake?.();
    this.wake = undefined;
  }
}
