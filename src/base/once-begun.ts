/** Work that begins at most once, when something else is far enough. */
export class OnceBegun {
  private running: Promise<void> | undefined;

  constructor(private readonly work: () => Promise<void>) {}

  readonly begin = (): void => {
    this.running ??= this.work();
    // Whoever waits for its end hears of a failure.
    this.running.catch(() => undefined);
  };

  /** Waits for its end, if it has begun. @throws What the work throws. */
  async ended(): Promise<void> {
    await this.running;
  }

  /** Waits for its end, however it ends, if it has begun. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.running]);
  }
}
