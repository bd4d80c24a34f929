/** How long a repeated failure is only counted before it is logged again. */
const sayAgainMs = 600_000;

/** More subjects than a node has containers; beyond them the oldest is forgotten. */
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
   * @param subject What the call was about.
   * @returns How often it has come since its last line, with this one; undefined while it needs no line.
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

  /** The call has succeeded: its next failure is news. */
  forget(subject: string): void {
    this.last.delete(subject);
  }
}
