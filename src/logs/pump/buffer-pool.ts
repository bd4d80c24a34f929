const smallestBytes = 4 * 1024;

/** Memory that many pumps use in turn: one that is silent holds none, and none is thrown away to be made anew. */
export class BufferPool {
  /** By size, which is a power of two. */
  private readonly free = new Map<number, Buffer[]>();
  private freeBytes = 0;

  constructor(private readonly mostFreeBytes = 4 * 1024 * 1024) {}

  /** A buffer of at least so many bytes, with anything in it. */
  take(atLeastBytes: number): Buffer {
    let sizeBytes = smallestBytes;
    while (sizeBytes < atLeastBytes) sizeBytes *= 2;
    const found = this.free.get(sizeBytes)?.pop();
    if (!found) return Buffer.allocUnsafeSlow(sizeBytes);
    this.freeBytes -= sizeBytes;
    return found;
  }

  /** Takes a buffer of {@link take} back that nobody uses any more. */
  give(buffer: Buffer): void {
    if (buffer.length === 0 || this.freeBytes + buffer.length > this.mostFreeBytes) return;
    const others = this.free.get(buffer.length);
    if (others) others.push(buffer);
    else this.free.set(buffer.length, [buffer]);
    this.freeBytes += buffer.length;
  }
}
