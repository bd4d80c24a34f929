import { Backoff, isKind, settlesWithin, ShimError } from "../base/index.js";
import type { DockerContainer } from "../docker/index.js";
import {
  rootOf,
  Wakeup,
  type ContainerLog,
  type Describe,
  type LogContext,
  type LogTarget,
} from "./container-log.js";

const firstRetryMs = 200;
const longestRetryMs = 10_000;
/** How long StartContainer may wait for the link. */
const startDelayMs = 2_000;

/**
 * A log that is a link to Docker's own JSON file, as cri-dockerd makes it. Docker names that file when it starts the
 * container. A container without one gets no link, and a warning.
 */
export class DockerJsonLink implements ContainerLog {
  readonly complete: Promise<void>;
  isComplete = false;
  private readonly wakeup = new Wakeup();
  private readonly stopped = new AbortController();
  /** Docker's description of the container at its start. */
  private startedAs: DockerContainer | undefined;

  /** @param options.exists The link is there already, made by docker-cri or by cri-dockerd. */
  constructor(
    private readonly context: Pick<LogContext, "docker" | "host" | "log" | "warnings">,
    private readonly target: LogTarget,
    { exists }: { readonly exists: boolean },
  ) {
    this.isComplete = exists;
    this.complete = exists ? Promise.resolve() : this.run();
  }

  async started(describe?: Describe): Promise<void> {
    this.startedAs = await describe?.();
    this.wakeup.wake();
    await settlesWithin(startDelayMs, this.complete);
  }

  ended(): void {
    this.wakeup.wake();
  }

  reopen(): Promise<void> {
    const { id, logPath } = this.target;
    const text =
      `the log of container ${id}, ${logPath}, is a link to Docker's own file, which Docker rotates: set kubelet's ` +
      "containerLogMaxSize above dockerMaxSizeBytes, or use the log mode cri";
    return Promise.reject(new ShimError("unsupported", text));
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    this.wakeup.wake();
    await this.complete;
  }

  private async run(): Promise<void> {
    const { id, logPath: path } = this.target;
    const warning = this.context.warnings.linking.of(id, { path });
    const backoff = new Backoff(firstRetryMs, longestRetryMs);
    while (!this.isComplete && !this.isStopped()) {
      await this.wakeup.sleep(backoff.next());
      if (this.isStopped()) return;
      try {
        this.isComplete = await this.link();
        warning.recovered();
      } catch (error) {
        if (isKind(error, "not-found")) this.isComplete = true;
        else if (!this.isStopped()) warning.failed(error);
      }
    }
    warning.forget();
  }

  /** @returns False when the container was not started yet. */
  private async link(): Promise<boolean> {
    const { docker, host, log } = this.context;
    const { id, logPath: path } = this.target;
    const { signal } = this.stopped;
    const { state, logPath } = this.startedAs ?? (await docker.inspect(id, { signal }));
    if (state.status === "created" && state.startedAtNanos === undefined) return false;
    if (logPath === undefined || logPath === "") {
      log.warn(
        { container: id, path },
        "Docker has no JSON log file for this container, which uses another log driver: nothing to link to",
      );
      return true;
    }
    await host.logFiles.makeLink(logPath, path, { root: rootOf(this.target) });
    return true;
  }

  private isStopped(): boolean {
    return this.stopped.signal.aborted;
  }
}
