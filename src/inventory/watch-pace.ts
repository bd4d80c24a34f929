const soonestMs = 2_000;
const latestMs = 120_000;
/** A list may keep Docker busy for a fortieth of the time. */
const costFactor = 40;
/** A list that took this many times what the last one took was held up by something else. */
const mostGrowth = 2;

/** How long to wait between two lists that only verify: with the containerd image store they are dear. */
export class WatchPace {
  private costMs = 0;

  /** @param factor Waits so many times longer. */
  constructor(private readonly factor = 1) {}

  /** Milliseconds until the next list. */
  get pauseMs(): number {
    return Math.min(Math.max(soonestMs, this.costMs * costFactor) * this.factor, latestMs);
  }

  /** Takes note of what a list took, in milliseconds. */
  took(ms: number): void {
    this.costMs = this.costMs === 0 ? ms : Math.min(ms, this.costMs * mostGrowth);
  }
}
