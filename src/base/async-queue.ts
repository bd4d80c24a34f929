export interface AsyncQueueOptions<T> {
  /** Called for each item that the reader has taken or that was dropped. */
  readonly onTaken?: ((item: T) => void) | undefined;
  /** Called when the reader waits for the next item. */
  readonly onWaiting?: (() => void) | undefined;
  /** Called once, when the reader has got the end or an error, or has left the loop. */
  readonly onDone?: (() => void) | undefined;
}

interface Reader<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A queue between one writer and one reader. Items pushed before the end are read before it. The writer never blocks.
 * An async generator in its place would take several times as long for each item.
 */
export class AsyncQueue<T> implements AsyncIterableIterator<T, undefined> {
  private items: T[] = [];
  private ended = false;
  private error: Error | undefined;
  private done = false;
  private reader: Reader<T> | undefined;

  constructor(private readonly options: AsyncQueueOptions<T> = {}) {}

  get isEmpty(): boolean {
    return this.items.length === 0;
  }

  /** @returns False when the item was dropped because the queue has ended. */
  push(item: T): boolean {
    if (this.ended) return false;
    const { reader } = this;
    if (reader) {
      this.reader = undefined;
      this.options.onTaken?.(item);
      reader.resolve({ done: false, value: item });
    } else this.items.push(item);
    return true;
  }

  /** No more items; the reader gets `error`, if any, once it has read the rest. Idempotent. */
  end(error?: Error): void {
    if (this.ended) return;
    this.ended = true;
    this.error = error;
    const { reader } = this;
    this.reader = undefined;
    if (reader) this.finish(reader);
  }

  /** Drops all items, queued and future ones. The reader gets `error`, or the end. */
  discard(error?: Error): void {
    const { items } = this;
    this.items = [];
    for (const item of items) this.options.onTaken?.(item);
    this.error = error;
    this.end(error);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.items.length > 0) {
      const item = this.items.shift() as T;
      this.options.onTaken?.(item);
      return Promise.resolve({ done: false, value: item });
    }
    return new Promise((resolve, reject) => {
      const reader = { resolve, reject };
      if (this.ended) {
        this.finish(reader);
        return;
      }
      this.reader = reader;
      this.options.onWaiting?.();
    });
  }

  /** The reader leaves: all items are dropped. */
  return(): Promise<IteratorResult<T, undefined>> {
    this.discard();
    return this.next();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private finish({ resolve, reject }: Reader<T>): void {
    const { error } = this;
    this.error = undefined;
    if (error) reject(error);
    else resolve({ done: true, value: undefined });
    if (this.done) return;
    this.done = true;
    this.options.onDone?.();
  }
}
