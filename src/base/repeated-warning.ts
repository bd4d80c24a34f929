import { messageOf } from "./errors.js";
import type { Logger } from "./logger.js";

const repeatMs = 60_000;

/** The part of a {@link RepeatedWarning} that one container sees. */
export interface WarningOfOne {
  failed(error: unknown): void;
  recovered(): void;
  /** The work has ended without success and is not tried again. */
  forget(): void;
}

/**
 * A warning about work that is retried for each of many containers. When Docker is away, all of them fail at once: there
 * is one line at the first failure, then at most one a minute with the number of containers that fail, and one when none
 * is left.
 */
export class RepeatedWarning {
  private readonly failing = new Set<string>();
  private loggedAtMs = -Infinity;
  private isShown = false;

  constructor(
    private readonly log: Logger,
    private readonly text: { readonly failing: string; readonly recovered: string },
  ) {}

  of(container: string, fields: Readonly<Record<string, unknown>> = {}): WarningOfOne {
    return {
      failed: (error) => {
        this.failing.add(container);
        const now = performance.now();
        if (now - this.loggedAtMs < repeatMs) return;
        this.loggedAtMs = now;
        this.isShown = true;
        const containers = this.failing.size;
        this.log.warn({ container, ...fields, containers, err: messageOf(error) }, this.text.failing);
      },
      recovered: () => {
        if (this.remove(container)) this.log.info({ container, ...fields }, this.text.recovered);
      },
      forget: () => {
        this.remove(container);
      },
    };
  }

  /** @returns True when it was the last one of a failure that was logged. */
  private remove(container: string): boolean {
    if (!this.failing.delete(container) || this.failing.size > 0) return false;
    const wasShown = this.isShown;
    this.isShown = false;
    return wasShown;
  }
}
