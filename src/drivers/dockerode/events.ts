import type { IncomingMessage } from "node:http";
import { nowNanos } from "../../base/index.js";
import type { DockerEvent, DockerEvents, EventSubscription, SubscribeOptions } from "../../docker/index.js";
import { chunksOf } from "./body.js";
import type { EngineCall } from "./call.js";
import { decodeEvent } from "./decode/event.js";
import { encodeFilters, encodeTime } from "./encode/request.js";
import type { EngineConnection, EngineRequest } from "./engine.js";
import { Truncated } from "./failures.js";
import { lines } from "./ndjson.js";

const operation = "events.subscribe";

/** The event stream, over Docker's API. */
export class DockerodeEvents implements DockerEvents {
  constructor(private readonly engine: EngineConnection) {}

  subscribe(options: SubscribeOptions): EventSubscription {
    return new Subscription(this.engine, options);
  }
}

/** One subscription. It begins at once, before it is read, and can be read once. */
class Subscription implements EventSubscription {
  readonly ready: Promise<void>;
  readonly #call: EngineCall;
  readonly #response: Promise<IncomingMessage>;
  readonly #request: EngineRequest;

  constructor(
    private readonly engine: EngineConnection,
    private readonly options: SubscribeOptions,
  ) {
    // Docker answers a moment before it subscribes; with `since` it replays the events in between.
    const since = encodeTime(options.sinceNanos ?? nowNanos());
    const { actions } = options;
    const filters = encodeFilters({
      type: ["container", "image", "daemon"],
      ...(actions === undefined ? {} : { event: actions }),
    });
    this.#request = { method: "GET", path: "/events", query: { since, filters } };
    this.#call = engine.open(operation, { signal: options.signal }, options.deadlineMs);
    this.#response = this.#subscribe();
    this.ready = this.#response.then(() => undefined);
    this.ready.catch(() => undefined);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<DockerEvent> {
    try {
      const response = await this.#response;
      for await (const line of lines(chunksOf(this.#call, response))) yield decodeEvent(line);
      throw new Truncated("the event stream has ended");
    } catch (error) {
      if (this.options.signal?.aborted !== true) throw this.engine.failure(this.#call, this.#request, error);
    } finally {
      this.#call.end();
    }
  }

  async #subscribe(): Promise<IncomingMessage> {
    try {
      return await this.engine.head(this.#call, this.#request);
    } catch (error) {
      this.#call.end();
      throw error;
    }
  }
}
