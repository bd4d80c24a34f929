/** Memory that many pumps use in turn: one that is silent holds none. */
export class BufferPool {
  private readonly free: Buffer[] = [];

  constructor(
    private readonly sizeBytes = 128 * 1024,
    private readonly mostFree = 16,
  ) {}

  /** A buffer of at least so many bytes, with anything in it. */
  take(atLeastBytes: number): Buffer {
    if (atLeastBytes > this.sizeBytes) return Buffer.allocUnsafeSlow(atLeastBytes);
    return this.free.pop() ?? Buffer.allocUnsafeSlow(this.sizeBytes);
  }

  /** Takes a buffer back that nobody uses any more. */
  give(buffer: Buffer): void {
    if (buffer.length === this.sizeBytes && this.free.length < this.mostFree) this.free.push(buffer);
  }
}
