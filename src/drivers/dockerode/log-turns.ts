/** Logs that wait are read at the ticks of a common clock. */
const tickMs = 10;
/** Of its wait, what a log waits at least, when fewer others are read then than at the end. */
const leastOfWait = 0.9;
/** So many logs are read in one turn of the event loop: about a millisecond's work. */
const logsAtOnce = 4;

/**
 * When logs that wait are read: several at one tick, so that one wake-up serves them, and never many in one turn of the
 * event loop, so that who asks for something meanwhile waits for a few and not for hundreds. Left to themselves, logs
 * that were once late together would be read together from then on.
 */
export class LogTurns {
  /** Who waits for a tick, by its number. */
  private readonly ticks = new Map<number, (() => void)[]>();
  /** Whose tick has come. */
  private readonly due: (() => void)[] = [];

  /** Calls `read` when it is this log's turn: at most `ms` from now, if nothing is late. */
  after(ms: number, read: () => void): void {
    if (ms < tickMs) this.takeTurns([read]);
    else this.waitForTick(performance.now(), ms, read);
  }

  private waitForTick(now: number, ms: number, read: () => void): void {
    const tick = this.emptiestTick((now + ms * leastOfWait) / tickMs, (now + ms) / tickMs);
    const others = this.ticks.get(tick);
    if (others) {
      others.push(read);
      return;
    }
    const readers = [read];
    this.ticks.set(tick, readers);
    setTimeout(
      () => {
        this.ticks.delete(tick);
        this.takeTurns(readers);
      },
      tick * tickMs - now,
    ).unref();
  }

  private emptiestTick(from: number, to: number): number {
    let found = Math.floor(to);
    for (let tick = found - 1; tick >= from; tick--)
      if (this.countAt(tick) < this.countAt(found)) found = tick;
    return found;
  }

  private countAt(tick: number): number {
    return this.ticks.get(tick)?.length ?? 0;
  }

  private takeTurns(readers: readonly (() => void)[]): void {
    if (this.due.length === 0) setImmediate(this.admit);
    this.due.push(...readers);
  }

  private readonly admit = () => {
    for (const read of this.due.splice(0, logsAtOnce)) read();
    if (this.due.length > 0) setImmediate(this.admit);
  };
}
