/** The bytes in a pipe from which on its writer blocks. */
const highWaterBytes = 64 * 1024;

/**
 * A queue between one writer and one reader, with backpressure. Data written before the end is still read after it.
 */
export class Pipe<T> implements AsyncIterable<T> {
  private items: { readonly value: T; readonly size: number }[] = [];
  private sizeBytes = 0;
  private ended = false;
  private error: Error | undefined;
  private cut = false;
  private readonly readers: (() => void)[] = [];
  private writers: (() => void)[] = [];

  /** @param sizeOf The bytes that an item counts for. */
  constructor(private readonly sizeOf: (item: T) => number) {}

  /**
   * Adds an item at once; the promise resolves when more may be written. Items written after the end, or after the
   * reading end is closed, are dropped.
   */
  async write(value: T): Promise<void> {
    if (this.ended || this.cut) return;
    const size = this.sizeOf(value);
    this.items.push({ value, size });
    this.sizeBytes += size;
    this.readers.shift()?.();
    while (this.sizeBytes > highWaterBytes && !this.isOver) {
      await new Promise<void>((resume) => this.writers.push(resume));
    }
  }

  private get isOver(): boolean {
    return this.ended || this.cut;
  }

  /** No more items; the reader gets `error`, if any, once it has read the rest. Idempotent. */
  end(error?: Error): void {
    if (this.ended) return;
    this.ended = true;
    this.error = error;
    this.wake();
  }

  /** Closes the reading end: all items, queued and future ones, are dropped. */
  cancel(error?: Error): void {
    this.cut = true;
    this.items = [];
    this.sizeBytes = 0;
    this.end(error);
    this.wake();
  }

  /** True once the writing end, or the reading end, is closed. */
  get closed(): boolean {
    return this.isOver;
  }

  /** The next item; undefined at the end. */
  async read(): Promise<T | undefined> {
    for (;;) {
      const item = this.items.shift();
      if (item) {
        this.sizeBytes -= item.size;
        if (this.sizeBytes <= highWaterBytes) this.releaseWriters();
        return item.value;
      }
      if (this.ended) {
        if (this.error) throw this.error;
        return undefined;
      }
      await new Promise<void>((resume) => this.readers.push(resume));
    }
  }

  /** Puts an item back at the front, for a reader that has read too much. */
  unread(value: T): void {
    const size = this.sizeOf(value);
    this.items.unshift({ value, size });
    this.sizeBytes += size;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const item = await this.read();
      if (item === undefined) return;
      yield item;
    }
  }

  private wake(): void {
    for (const resume of this.readers.splice(0)) resume();
    this.releaseWriters();
  }

  private releaseWriters(): void {
    const waiting = this.writers;
    this.writers = [];
    for (const resume of waiting) resume();
  }
}

/** A pipe of bytes. */
export function bytePipe(): Pipe<Uint8Array> {
  return new Pipe((data) => data.byteLength);
}
