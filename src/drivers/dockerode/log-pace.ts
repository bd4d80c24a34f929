import type { LogFrame } from "../../docker/index.js";

/** How long an entry may wait for others to be read with it. */
const longestMs = 200;
/** A wait for less is not worth a timer. */
const shortestMs = 5;
/** So much is read at once if it comes in that time. Docker's end of a connection holds five times as much. */
const wantedBytes = 32 * 1024;
/**
 * A piece of so much in so little time shows that Docker was held up, and for a while then nothing waits: what comes
 * first after it, while Docker wakes up, looks as if there were little to say. In more time it only shows that this
 * process is late, and would be later if it did more.
 */
const loudBytes = 2 * wantedBytes;
const loudWithinMs = 100;
const loudMs = 250;
/** What the kernel needs for an entry, however short: Docker sends each by itself. */
const entryBytes = 512;

/**
 * Has a stream read in pieces that are worth the work: of 200 containers that say 50 lines a second each, every
 * line would otherwise be a read of its own. What comes after a silence is read at once.
 */
export class LogPace {
  private readAtMs = performance.now();
  private loudUntilMs = 0;
  private isOver = false;
  private wake: () => void = () => undefined;

  /** Waits for as long as the next piece takes to come, at the rate of the last. */
  async next(last: readonly LogFrame[]): Promise<void> {
    const now = performance.now();
    const bytes = last.reduce((sum, { data }) => sum + data.length + entryBytes, 0);
    const tookMs = now - this.readAtMs;
    const ms = Math.min(longestMs, (tookMs * wantedBytes) / bytes);
    this.readAtMs = now;
    if (bytes >= loudBytes && tookMs <= loudWithinMs) this.loudUntilMs = now + loudMs;
    if (now < this.loudUntilMs || ms < shortestMs || this.isOver) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Nothing waits any more. */
  end(): void {
    this.isOver = true;
    this.wake();
  }
}
