import { messageOf, type Logger } from "../../base/index.js";

const repeatMs = 60_000;

/** Something that goes wrong again and again: said at once, then once a minute, and once when it is over. */
export class Trouble {
  private saidAtMs: number | undefined;

  constructor(
    private readonly log: Logger,
    private readonly fields: Readonly<Record<string, unknown>>,
    private readonly text: { readonly begin: string; readonly over: string },
  ) {}

  say(error: unknown): void {
    const now = performance.now();
    if (this.saidAtMs !== undefined && now - this.saidAtMs < repeatMs) return;
    this.saidAtMs = now;
    this.log.warn({ ...this.fields, err: messageOf(error) }, this.text.begin);
  }

  isOver(): void {
    if (this.saidAtMs === undefined) return;
    this.saidAtMs = undefined;
    this.log.info(this.fields, this.text.over);
  }
}
