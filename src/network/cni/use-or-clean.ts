import { withDeadline } from "../../base/index.js";

/**
 * Keeps two kinds of work apart: any number of uses may run side by side, but none while it is being cleaned.
 * @see CNI SPEC, "Lifecycle & Ordering": GC must not run beside ADD and DEL
 */
export class UseOrClean {
  private uses = 0;
  private cleaning: Promise<unknown> | undefined;
  private readonly onIdle: (() => void)[] = [];

  /** Runs `work` once no cleaning is under way. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    while (this.cleaning) await this.cleaning;
    this.uses++;
    try {
      return await work();
    } finally {
      if (--this.uses === 0) for (const wake of this.onIdle.splice(0)) wake();
    }
  }

  /**
   * Runs `work` at a moment without uses. Uses go first: one that hangs puts the cleaning off, and not the
   * uses that come after it.
   * @throws ShimError "deadline-exceeded" when there was no such moment within `patienceMs`.
   */
  async clean<T>(operation: string, patienceMs: number, work: () => Promise<T>): Promise<T> {
    const endMs = performance.now() + patienceMs;
    const what = `${operation}: waiting for other work to end`;
    while (this.uses > 0 || this.cleaning) {
      const deadlineMs = Math.max(0, Math.round(endMs - performance.now()));
      await withDeadline(what, { deadlineMs }, () => this.change());
    }
    const running = work();
    this.cleaning = running.catch(() => undefined);
    try {
      return await running;
    } finally {
      this.cleaning = undefined;
    }
  }

  private change(): Promise<unknown> {
    return this.cleaning ?? new Promise<void>((resolve) => this.onIdle.push(resolve));
  }
}
