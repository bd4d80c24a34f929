import { withDeadline } from "../../base/index.js";

/** A lock that many holders may share, or one may hold alone. */
export class SharedLock {
  private holders = 0;
  private exclusive: Promise<unknown> | undefined;
  private readonly onIdle: (() => void)[] = [];

  /** Runs `work` while the lock is not held alone. */
  async share<T>(work: () => Promise<T>): Promise<T> {
    while (this.exclusive) await this.exclusive;
    this.holders++;
    try {
      return await work();
    } finally {
      if (--this.holders === 0) for (const wake of this.onIdle.splice(0)) wake();
    }
  }

  /**
   * Runs `work` while nothing else holds the lock. Those who share it go first: one that hangs delays this call, and
   * not the ones after it.
   * @throws ShimError "deadline-exceeded" when the lock was not free within `patienceMs`.
   */
  async hold<T>(operation: string, patienceMs: number, work: () => Promise<T>): Promise<T> {
    const endMs = performance.now() + patienceMs;
    while (this.holders > 0 || this.exclusive) {
      const deadlineMs = Math.max(0, Math.round(endMs - performance.now()));
      await withDeadline(`${operation}: waiting for other work to end`, { deadlineMs }, () => this.change());
    }
    const running = work();
    this.exclusive = running.catch(() => undefined);
    try {
      return await running;
    } finally {
      this.exclusive = undefined;
    }
  }

  private change(): Promise<unknown> {
    return this.exclusive ?? new Promise<void>((resolve) => this.onIdle.push(resolve));
  }
}
