import { messageOf, type Logger } from "../../base/index.js";

const repeatMs = 60_000;

/** A warning about work that is retried: logged at the first failure, then once a minute, and once at the recovery. */
export class ThrottledWarning {
  private loggedAtMs: number | undefined;

  constructor(
    private readonly log: Logger,
    private readonly fields: Readonly<Record<string, unknown>>,
    private readonly text: { readonly failing: string; readonly recovered: string },
  ) {}

  failed(error: unknown): void {
    const now = performance.now();
    if (this.loggedAtMs !== undefined && now - this.loggedAtMs < repeatMs) return;
    this.loggedAtMs = now;
    this.log.warn({ ...this.fields, err: messageOf(error) }, this.text.failing);
  }

  recovered(): void {
    if (this.loggedAtMs === undefined) return;
    this.loggedAtMs = undefined;
    this.log.info(this.fields, this.text.recovered);
  }
}
