/**
 * Limits concurrency: at most `limit` pieces of work run at once; the rest wait in order. Work that takes longer than
 * `patienceMs` no longer counts, so that work that hangs does not block the others.
 */
export class Gate {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(
    private readonly limit: number,
    private readonly patienceMs: number,
  ) {}

  /** Runs `work` as soon as the limit allows. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.running < this.limit) this.running++;
    else await new Promise<void>((admit) => this.waiting.push(admit));
    let holding = true;
    const release = () => {
      if (!holding) return;
      holding = false;
      const next = this.waiting.shift();
      if (next) next();
      else this.running--;
    };
    const timer = setTimeout(release, this.patienceMs);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
      release();
    }
  }
}
