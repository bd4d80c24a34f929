/** How long repeats of a failure are counted and not logged. */
const sayAgainMs = 600_000;

/** More than a node has containers; the oldest entry is dropped. */
const maxSubjects = 1_000;

interface Repeated {
  readonly text: string;
  readonly loggedAtMs: number;
  times: number;
}

/** The failures of one RPC, so that a caller that polls does not fill the log with the same line. */
export class RepeatedFailures {
  private readonly last = new Map<string, Repeated>();

  /**
   * Counts a failure.
   * @param subject The subject of the call, such as a container ID.
   * @returns How often it has occurred since it was last logged, this time included; undefined if it is not to be logged.
   */
  count(subject: string, text: string, nowMs = performance.now()): number | undefined {
    const last = this.last.get(subject);
    const same = last?.text === text ? last : undefined;
    if (same && nowMs - same.loggedAtMs < sayAgainMs) {
      same.times++;
      return undefined;
    }
    this.last.delete(subject);
    this.last.set(subject, { text, loggedAtMs: nowMs, times: 0 });
    const [oldest] = this.last.keys();
    if (this.last.size > maxSubjects && oldest !== undefined) this.last.delete(oldest);
    return (same?.times ?? 0) + 1;
  }

  /** Records a success: the next failure is logged. */
  forget(subject: string): void {
    this.last.delete(subject);
  }
}
