import { onAbort } from "../../base/index.js";
import type { DockerEvent, DockerEvents, EventSubscription, SubscribeOptions } from "../../docker/index.js";
import type { Connection } from "./connection.js";
import type { EventFeed } from "./events.js";

const method = "events.subscribe";

/** The events of the memory engine. */
export class MemoryEvents implements DockerEvents {
  constructor(private readonly connection: Connection) {}

  subscribe(options: SubscribeOptions): EventSubscription {
    return new MemorySubscription(this.connection, options);
  }
}

/** One stream of events, from the subscription to its end. */
class MemorySubscription implements EventSubscription {
  readonly ready: Promise<void>;
  private readonly ended = new AbortController();
  private readonly feed: Promise<EventFeed>;
  private readonly outer: AbortSignal | undefined;
  private readonly leaving: (() => void)[] = [];

  constructor(
    private readonly connection: Connection,
    private readonly options: SubscribeOptions,
  ) {
    this.outer = options.signal;
    this.feed = connection.call(method, options, {}, () => this.open());
    this.ready = this.feed.then(() => undefined);
    // A failure is also thrown by the iteration.
    this.ready.catch(() => {
      this.leave();
    });
    this.leaving.push(
      onAbort(this.outer, () => {
        this.end(undefined);
      }),
    );
  }

  private open(): EventFeed {
    const feed = this.connection.engine.events.listen(this.options.sinceNanos);
    const release = this.connection.hold(method, (error) => {
      this.end(error);
    });
    this.leaving.push(release, () => {
      feed.close();
    });
    return feed;
  }

  private end(error: Error | undefined): void {
    this.ended.abort(error);
    this.leave();
  }

  private leave(): void {
    for (const step of this.leaving.splice(0)) step();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<DockerEvent> {
    try {
      const feed = await this.feed;
      for (;;) {
        const event = await feed.next(this.ended.signal);
        if (this.options.actions?.includes(event.action) ?? true) yield event;
      }
    } catch (error) {
      if (!this.outer?.aborted) throw error;
    } finally {
      this.leave();
    }
  }
}
