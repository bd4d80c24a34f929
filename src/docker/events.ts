import type { CallOptions } from "../base/index.js";

/** Something that happened on the engine. */
export interface DockerEvent {
  readonly type: "container" | "image" | "daemon" | "other";
  /**
   * Docker's action, without the part after a colon: `create`, `start`, `die`, `oom`, `kill`, `stop`, `destroy`,
   * `rename`, `update`, `pause`, `unpause`, `exec_die`, `pull`, `tag`, `untag`, `delete`, `import`, `load`, …
   */
  readonly action: string;
  /** The container's or image's id, or the image's name. */
  readonly subject: string;
  readonly timeNanos: bigint;
  /** Labels, the name, `exitCode` of a `die` or `exec_die`, `execID` of the latter. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** The engine's stream of events. */
export interface DockerEvents {
  /**
   * Follows the events of containers, images and the daemon. The iterable's `ready` promise resolves when
   * Docker has accepted the subscription: all later events are in the stream. The iteration ends with a
   * ShimError `unavailable` when the stream breaks, and without an error only when `signal` aborts.
   * @see Docker API GET /events
   */
  subscribe(options: SubscribeOptions): EventSubscription;
}

export interface SubscribeOptions extends CallOptions {
  /** Replays what Docker still remembers from that time on (inclusive). */
  readonly sinceNanos?: bigint;
  /**
   * Only these actions are delivered; Docker filters them out before sending. All when absent. Actions with a colon
   * (`exec_create`, `exec_start`, `health_status`) cannot be filtered for.
   */
  readonly actions?: readonly string[];
}

export interface EventSubscription extends AsyncIterable<DockerEvent> {
  /** @throws ShimError `unavailable` when the subscription could not be made. */
  readonly ready: Promise<void>;
}
