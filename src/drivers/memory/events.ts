import { abortError, onAbort, ShimError } from "../../base/index.js";
import type { DockerEvent } from "../../docker/index.js";
import type { Clock } from "./clock.js";

/** The number of past events, the same as Docker's. */
const historyLength = 256;
/** A subscriber that does not read loses events beyond this, as with Docker. */
const mostWaiting = 16_384;

/** The engine's events: the history and the subscribers. */
export class EventHub {
  private history: DockerEvent[] = [];
  private readonly feeds = new Set<EventFeed>();
  private toDrop = 0;
  private delayMs = 0;
  private readonly timers = new Set<NodeJS.Timeout>();

  constructor(private readonly clock: Clock) {}

  /** Emits an event. */
  emit(
    type: DockerEvent["type"],
    action: string,
    subject: string,
    attributes: Readonly<Record<string, string>>,
  ): void {
    const event: DockerEvent = { type, action, subject, attributes, timeNanos: this.clock.now() };
    this.history.push(event);
    if (this.history.length > historyLength) this.history.shift();
    if (this.toDrop > 0) {
      this.toDrop--;
      return;
    }
    if (this.delayMs === 0) this.deliver(event);
    else {
      const timer = setTimeout(() => {
        this.timers.delete(timer);
        this.deliver(event);
      }, this.delayMs);
      this.timers.add(timer);
    }
  }

  private deliver(event: DockerEvent): void {
    for (const feed of this.feeds) feed.put(event);
  }

  /** Subscribes. The stream begins with the events in the history since `sinceNanos`. */
  listen(sinceNanos: bigint | undefined): EventFeed {
    const past =
      sinceNanos === undefined ? [] : this.history.filter((event) => event.timeNanos >= sinceNanos);
    const feed = new EventFeed(past, () => this.feeds.delete(feed));
    this.feeds.add(feed);
    return feed;
  }

  /** Clears the history, as at a restart of the daemon. */
  forget(): void {
    this.history = [];
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
  }

  /** The next `count` events reach no subscriber; a replay still has them. */
  drop(count: number): void {
    this.toDrop = count;
  }

  /** Delays all events by this time; 0 ends it. */
  delay(ms: number): void {
    this.delayMs = ms;
  }

  /** The streams that are open now deliver no more events but stay open. */
  silence(): void {
    for (const feed of this.feeds) feed.mute();
  }
}

/** The events of one subscriber. */
export class EventFeed {
  private readonly waiting: DockerEvent[];
  private muted = false;
  private wake: () => void = () => undefined;

  constructor(
    past: readonly DockerEvent[],
    private readonly onClose: () => void,
  ) {
    this.waiting = [...past];
  }

  put(event: DockerEvent): void {
    if (this.muted || this.waiting.length >= mostWaiting) return;
    this.waiting.push(event);
    this.wake();
  }

  mute(): void {
    this.muted = true;
  }

  close(): void {
    this.onClose();
  }

  /** The next event. @throws The signal's error. */
  async next(signal: AbortSignal): Promise<DockerEvent> {
    for (;;) {
      if (signal.aborted) throw abortError("events.subscribe", signal.reason);
      const event = this.waiting.shift();
      if (event) return event;
      await new Promise<void>((resolve) => {
        const done = () => {
          unlisten();
          resolve();
        };
        this.wake = done;
        const unlisten = onAbort(signal, done);
      });
    }
  }
}

/** The error of a broken stream. */
export function streamBroken(operation: string): ShimError {
  return new ShimError("unavailable", `${operation}: the connection to Docker broke; connect again`, {
    operation,
  });
}
