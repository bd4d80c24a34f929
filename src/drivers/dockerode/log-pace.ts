import type { LogFrame } from "../../docker/index.js";
import type { LogTurns } from "./log-turns.js";

/** How long an entry may wait for others to be read with it. */
const longestMs = 200;
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

  constructor(private readonly turns: LogTurns) {}

  /** For how long the log may wait: for as long as the next piece takes to come, at the rate of the last. */
  wanted(last: readonly LogFrame[]): number {
    const now = performance.now();
    let bytes = last.length * entryBytes;
    for (const { data } of last) bytes += data.length;
    const tookMs = now - this.readAtMs;
    this.readAtMs = now;
    if (bytes >= loudBytes && tookMs <= loudWithinMs) this.loudUntilMs = now + loudMs;
    return now < this.loudUntilMs ? 0 : Math.min(longestMs, (tookMs * wantedBytes) / bytes);
  }

  /** Waits for the log's turn, which comes in so long at most. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
      if (this.isOver) resolve();
      else this.turns.after(ms, resolve);
    });
  }

  /** Nothing waits any more. */
  end(): void {
    this.isOver = true;
    this.wake();
  }
}
