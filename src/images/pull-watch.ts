import { longestTimerMs, ShimError, type Logger } from "../base/index.js";
import type { PullProgress } from "../docker/index.js";
import { PullMeter } from "./pull-progress.js";

/** How often a pull that goes on says so in the log. */
const sayEveryMs = 10_000;
/** How many deadlines an unpacking may take of which Docker says nothing. */
const unseenDeadlines = 10;

/**
 * Watches one pull: ends it when nothing moves for the deadline, download and extraction alike, and says in the
 * log how far it is. A pull that trickles on may take as long as it likes.
 */
export class PullWatch {
  private readonly controller = new AbortController();
  private readonly meter = new PullMeter();
  private readonly saying: NodeJS.Timeout;
  private readonly startedAtMs = performance.now();
  private movedAtMs = this.startedAtMs;
  private deadline: NodeJS.Timeout;

  constructor(
    private readonly reference: string,
    private readonly deadlineMs: number,
    private readonly log: Logger,
  ) {
    this.deadline = this.arm();
    this.saying = setInterval(() => {
      this.say();
    }, sayEveryMs);
  }

  /** Aborts when the deadline has passed, or the pull is no longer wanted. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  saw(progress: PullProgress): void {
    if (!this.meter.take(progress)) return;
    this.movedAtMs = performance.now();
    clearTimeout(this.deadline);
    if (!this.controller.signal.aborted) this.deadline = this.arm();
  }

  /** Ends the pull. */
  abort(reason: ShimError): void {
    this.controller.abort(reason);
  }

  /** Lets go of the timers. @returns How long it took. */
  end(): { readonly ms: number } {
    clearTimeout(this.deadline);
    clearInterval(this.saying);
    return { ms: Math.round(performance.now() - this.startedAtMs) };
  }

  private arm(): NodeJS.Timeout {
    const waitMs = this.deadlineMs * (this.meter.unpacksUnseen ? unseenDeadlines : 1);
    return setTimeout(
      () => {
        const { layersDone, layers, downloadedBytes, totalBytes } = this.meter.state;
        this.abort(
          new ShimError(
            "deadline-exceeded",
            `the pull of ${this.reference} made no progress for ${waitMs} ms and was ended, with ` +
              `${layersDone} of ${layers} layers there and ${downloadedBytes} of ${totalBytes} bytes loaded; ` +
              "check the registry and the node's network, or raise the image pull progress deadline",
          ),
        );
      },
      Math.min(waitMs, longestTimerMs),
    );
  }

  private say(): void {
    const quietMs = Math.round(performance.now() - this.movedAtMs);
    this.log.info({ image: this.reference, ...this.meter.state, quietMs }, "pulling an image");
  }
}
