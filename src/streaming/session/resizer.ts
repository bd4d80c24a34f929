import { sleep } from "../../base/index.js";
import type { TerminalSize } from "../../carriers/index.js";

/** How long a refused size is retried: a process that is being started has no terminal yet. */
const patienceMs = 5_000;
const firstWaitMs = 10;
const longestWaitMs = 250;

/** Sets the size of one terminal, one call at a time; of the waiting sizes only the latest is set. */
export class Resizer {
  private wanted: TerminalSize | undefined;
  private working = false;
  private readonly over = new AbortController();

  constructor(private readonly apply: (size: TerminalSize, signal: AbortSignal) => Promise<void>) {}

  resize(size: TerminalSize): void {
    this.wanted = size;
    if (!this.working) void this.work();
  }

  /** Stops the retries. */
  stop(): void {
    this.over.abort();
  }

  private async work(): Promise<void> {
    this.working = true;
    const { signal } = this.over;
    const until = performance.now() + patienceMs;
    for (
      let waitMs = firstWaitMs;
      this.wanted && !signal.aborted;
      waitMs = Math.min(waitMs * 2, longestWaitMs)
    ) {
      const size = this.wanted;
      try {
        await this.apply(size, signal);
        if (this.wanted === size) this.wanted = undefined;
      } catch {
        if (performance.now() > until) this.wanted = undefined;
        await sleep(waitMs, signal).catch(() => undefined);
      }
    }
    this.working = false;
  }
}
