import { Backoff, isKind, messageOf, ShimError, sleep, type Logger } from "../base/index.js";
import type { DockerContainer } from "../docker/index.js";
import type { Host } from "../host/index.js";
import { Alarm } from "./alarm.js";
import type { Describe, LogKeeper, LogSource } from "./keeper.js";

const firstLookMs = 200;
const longestLookMs = 10_000;
/** How long the start of a container may wait for its link. */
const startedPatienceMs = 2_000;

export interface DockerJsonLinkOptions {
  readonly id: string;
  readonly path: string;
  /** Neither this folder nor anything below it may be a link. */
  readonly root: string;
  readonly docker: LogSource;
  readonly host: Pick<Host, "logFiles">;
  readonly log: Logger;
  /** The link is there already, made by us or by cri-dockerd. */
  readonly isThere: boolean;
}

/**
 * A log that is a link to Docker's own JSON file, as cri-dockerd makes it. Docker names that file when it
 * starts the container; a container without one gets no link, and that is said.
 */
export class DockerJsonLink implements LogKeeper {
  readonly complete: Promise<void>;
  isComplete = false;
  private readonly alarm = new Alarm();
  private readonly stopped = new AbortController();
  /** What Docker said of the container when it was started. */
  private told: DockerContainer | undefined;

  constructor(private readonly options: DockerJsonLinkOptions) {
    this.isComplete = options.isThere;
    this.complete = options.isThere ? Promise.resolve() : this.run();
  }

  async started(describe?: Describe): Promise<void> {
    this.told = await describe?.();
    this.alarm.ring();
    const late = new AbortController();
    const patience = sleep(startedPatienceMs, late.signal).catch(() => undefined);
    await Promise.race([this.complete, patience]);
    late.abort();
  }

  ended(): void {
    this.alarm.ring();
  }

  reopen(): Promise<void> {
    const { id, path } = this.options;
    const text =
      `the log of container ${id}, ${path}, is a link to Docker's own file, which Docker rotates: set kubelet's ` +
      "containerLogMaxSize above dockerMaxSizeBytes, or use the log mode cri";
    return Promise.reject(new ShimError("unsupported", text));
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    this.alarm.ring();
    await this.complete;
  }

  private async run(): Promise<void> {
    const { id, path, log } = this.options;
    const backoff = new Backoff(firstLookMs, longestLookMs);
    while (!this.isComplete && !this.isStopped()) {
      await this.alarm.wait(backoff.next());
      if (this.isStopped()) return;
      try {
        this.isComplete = await this.link();
      } catch (error) {
        if (isKind(error, "not-found")) this.isComplete = true;
        else if (!this.isStopped())
          log.warn(
            { container: id, path, err: messageOf(error) },
            "cannot link the container's log; trying again",
          );
      }
    }
  }

  /** @returns False when the container is yet to be started. */
  private async link(): Promise<boolean> {
    const { id, path, root, docker, host, log } = this.options;
    const { signal } = this.stopped;
    const { state, logPath } = this.told ?? (await docker.inspect(id, { signal }));
    if (state.status === "created" && state.startedAtNanos === undefined) return false;
    if (logPath === undefined || logPath === "") {
      log.warn(
        { container: id, path },
        "Docker keeps no JSON file for this container (it has another log driver): there is nothing to link to",
      );
      return true;
    }
    await host.logFiles.makeLink(logPath, path, { root });
    return true;
  }

  private isStopped(): boolean {
    return this.stopped.signal.aborted;
  }
}
