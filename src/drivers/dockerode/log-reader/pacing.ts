import type { LogFrame } from "../../../docker/index.js";

/** How long an entry may wait for others to be read with it. */
const longestWaitMs = 200;
/** A read is worth its cost from this size on. Docker's end of a connection buffers five times as much. */
const wantedBytes = 32 * 1024;
/** The kernel's memory for one entry, however short: Docker sends each by itself. */
const entryBytes = 512;
/** A batch this large within this time means that Docker was blocked: stop delaying briefly. */
const largeBatchBytes = 2 * wantedBytes;
const largeBatchWithinMs = 100;
const noDelayMs = 250;

/** Decides how long to wait between the reads of one log, so that each read is worth its cost. */
export class ReadPace {
  private readAtMs = performance.now();
  private noDelayUntilMs = 0;
  private isOver = false;
  private wake: () => void = () => undefined;

  constructor(private readonly scheduler: ReadScheduler) {}

  /** The wait before the next read in milliseconds: the time that a worthwhile batch takes at the rate of the last. */
  next(batch: readonly LogFrame[]): number {
    const now = performance.now();
    const bytes = batch.reduce((sum, { data }) => sum + data.length, batch.length * entryBytes);
    const tookMs = now - this.readAtMs;
    this.readAtMs = now;
    if (bytes >= largeBatchBytes && tookMs <= largeBatchWithinMs) this.noDelayUntilMs = now + noDelayMs;
    return now < this.noDelayUntilMs ? 0 : Math.min(longestWaitMs, (tookMs * wantedBytes) / bytes);
  }

  /** Waits for the log's turn, at most `ms`. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
      if (this.isOver) resolve();
      else this.scheduler.schedule(ms, resolve);
    });
  }

  /** Ends the wait, and all later ones. */
  end(): void {
    this.isOver = true;
    this.wake();
  }
}

const tickMs = 10;
/** A log may be read up to 10 % early to share a tick. */
const earliestPart = 0.9;
/** Logs read in one turn of the event loop: about a millisecond of work. */
const readsPerTurn = 4;

/**
 * Spreads the reads of all logs: several share one timer, and few run in one turn of the event loop, so that a call waits
 * for a few reads and not for hundreds. Without it, logs that were late together once stay together.
 */
export class ReadScheduler {
  private readonly ticks = new Map<number, (() => void)[]>();
  private readonly due: (() => void)[] = [];

  /** Calls `read` after at most `ms` milliseconds, if nothing is late. */
  schedule(ms: number, read: () => void): void {
    if (ms < tickMs) {
      this.run([read]);
      return;
    }
    const now = performance.now();
    const tick = this.leastBusyTick((now + ms * earliestPart) / tickMs, (now + ms) / tickMs);
    const reads = this.ticks.get(tick);
    if (reads) {
      reads.push(read);
      return;
    }
    const first = [read];
    this.ticks.set(tick, first);
    const expire = () => {
      this.ticks.delete(tick);
      this.run(first);
    };
    setTimeout(expire, tick * tickMs - now).unref();
  }

  private leastBusyTick(from: number, to: number): number {
    const readsAt = (tick: number) => this.ticks.get(tick)?.length ?? 0;
    let found = Math.floor(to);
    for (let tick = found - 1; tick >= from; tick--) if (readsAt(tick) < readsAt(found)) found = tick;
    return found;
  }

  private run(reads: readonly (() => void)[]): void {
    if (this.due.length === 0) setImmediate(this.runDue);
    this.due.push(...reads);
  }

  private readonly runDue = () => {
    for (const read of this.due.splice(0, readsPerTurn)) read();
    if (this.due.length > 0) setImmediate(this.runDue);
  };
}
