import {
  Backoff,
  messageOf,
  onAbort,
  ShimError,
  sleep,
  withDeadline,
  type CallOptions,
  type Logger,
} from "../base/index.js";
import type { DockerContainerSummary, DockerEvent, DockerService } from "../docker/index.js";
import { containerActions, type ContainerIndex } from "./container-index.js";
import type { ExecEnds } from "./exec-ends.js";
import type { ImageIndex } from "./image-index.js";
import { ListPace } from "./list-pace.js";

const connectDeadlineMs = 5_000;
const factsDeadlineMs = 15_000;
const listDeadlineMs = 60_000;
const imageQuietMs = 100;
const firstBackoffMs = 100;
const longestBackoffMs = 1_000;
/** Images are listed once in so many lists of the containers. */
const imageRounds = 5;
const imageActions = ["pull", "import", "load", "create", "tag", "untag", "delete", "prune"];
/** Docker filters out all others, such as those of health checks and of the start of execs. */
const actions = [...containerActions, "exec_die", ...imageActions, "reload"];
const typeLabel = "io.kubernetes.docker.type";

export interface FollowerOptions {
  readonly docker: DockerService;
  readonly log: Logger;
  readonly containers: ContainerIndex;
  readonly images: ImageIndex;
  readonly execEnds: ExecEnds;
  /** Reads the engine's version and configuration. */
  readonly readFacts: (options: CallOptions) => Promise<void>;
  /** The indexes agree with Docker. */
  readonly onSynced: () => void;
  /** Docker cannot be reached. */
  readonly onLost: (error: unknown) => void;
}

/** How current the inventory is. */
export interface Freshness {
  /** Since an event or a list last showed it to be current; undefined before the first sync. */
  readonly ageSeconds: number | undefined;
  /** Full reads of Docker's state. */
  readonly syncs: number;
  /** Containers whose change only a comparison with a list has shown. */
  readonly missedChanges: number;
}

/**
 * Keeps the indexes current: subscribes to Docker's events, lists, then follows, and does so again after the stream
 * has ended, with a back-off of at most a second. It also compares with a list from time to time: a stream that has
 * gone silent cannot be told from an idle engine.
 */
export class Follower {
  private readonly closed = new AbortController();
  private running: Promise<void> | undefined;
  private imageTimer: NodeJS.Timeout | undefined;
  private imagesRead = false;
  private currentAtMs: number | undefined;
  private syncs = 0;
  private missedChanges = 0;

  constructor(private readonly options: FollowerOptions) {}

  get freshness(): Freshness {
    const { currentAtMs, syncs, missedChanges } = this;
    const ageSeconds = currentAtMs === undefined ? undefined : (performance.now() - currentAtMs) / 1_000;
    return { ageSeconds, syncs, missedChanges };
  }

  /** Starts; returns at once. */
  start(): void {
    this.running ??= this.follow();
  }

  /** Ends all work; leaves no timer and no connection. */
  async close(): Promise<void> {
    this.closed.abort();
    clearTimeout(this.imageTimer);
    await this.running;
  }

  private isClosed(): boolean {
    return this.closed.signal.aborted;
  }

  private async follow(): Promise<void> {
    const backoff = new Backoff(firstBackoffMs, longestBackoffMs);
    while (!this.isClosed()) {
      const session = new AbortController();
      const unlisten = onAbort(this.closed.signal, () => {
        session.abort();
      });
      try {
        await this.session(session, () => {
          backoff.reset();
        });
      } catch (error) {
        if (!this.isClosed()) this.options.onLost(error);
      } finally {
        session.abort();
        unlisten();
      }
      await sleep(backoff.next(), this.closed.signal).catch(() => undefined);
    }
  }

  private async session(session: AbortController, onSynced: () => void): Promise<void> {
    const { signal } = session;
    const events = this.options.docker.events.subscribe({ actions, signal, deadlineMs: connectDeadlineMs });
    const ended = this.consume(events);
    ended.catch(() => {
      session.abort();
    });
    try {
      await withDeadline("events.subscribe", { deadlineMs: connectDeadlineMs, signal }, () => events.ready);
      await Promise.race([this.sync(signal), ended]);
      onSynced();
      await Promise.race([ended, this.watch(signal)]);
    } finally {
      session.abort();
      await ended.catch(() => undefined);
    }
  }

  private async consume(events: AsyncIterable<DockerEvent>): Promise<void> {
    for await (const event of events) {
      if (this.currentAtMs !== undefined) this.currentAtMs = performance.now();
      if (event.action === "exec_die") this.options.execEnds.onEvent(event);
      else if (event.type === "container") this.options.containers.onEvent(event);
      else if (event.type === "image") this.refreshImagesSoon();
      else if (event.type === "daemon" && event.action === "reload") this.refreshFacts();
    }
    throw new ShimError("unavailable", "Docker's event stream ended");
  }

  private async sync(signal: AbortSignal): Promise<void> {
    const { containers, log } = this.options;
    const began = Date.now();
    await this.options.readFacts({ signal, deadlineMs: factsDeadlineMs });
    const images = this.syncImages(signal);
    const listing = this.listContainers(signal, listDeadlineMs);
    const [{ list, listedAtMs }] = await Promise.all([listing, images]);
    await containers.reconcile(list, listedAtMs, true);
    // Docker may have been lost meanwhile.
    signal.throwIfAborted();
    this.currentAtMs = performance.now();
    this.syncs++;
    this.options.onSynced();
    log.info({ containers: list.length, ms: Date.now() - began }, "in sync with Docker");
  }

  /** The first list of images must succeed. Later, the last known images are better than no pods. */
  private async syncImages(signal: AbortSignal): Promise<void> {
    try {
      await this.options.images.refreshAll({ signal });
      this.imagesRead = true;
    } catch (error) {
      if (!this.imagesRead || signal.aborted) throw error;
      this.logImagesFailed(error);
    }
  }

  /** Compares with lists until the session ends. */
  private async watch(signal: AbortSignal): Promise<never> {
    const { containers, log } = this.options;
    const pace = new ListPace();
    const imagePace = new ListPace(imageRounds);
    let imagesAtMs = performance.now() + imagePace.pauseMs;
    for (;;) {
      await sleep(pace.pauseMs, signal);
      await containers.checkProcesses();
      const began = performance.now();
      const { list, listedAtMs } = await this.listContainers(signal, connectDeadlineMs);
      pace.took(performance.now() - began, list.length);
      const differing = await containers.reconcile(list, listedAtMs, false);
      this.currentAtMs = performance.now();
      this.missedChanges += differing;
      if (differing > 0)
        log.info({ containers: differing }, "found container changes that Docker sent no event for");
      if (performance.now() < imagesAtMs) continue;
      const asked = performance.now();
      await this.syncImages(signal);
      imagePace.took(performance.now() - asked);
      imagesAtMs = performance.now() + imagePace.pauseMs;
    }
  }

  private async listContainers(
    signal: AbortSignal,
    deadlineMs: number,
  ): Promise<{ list: DockerContainerSummary[]; listedAtMs: number }> {
    const listedAtMs = performance.now();
    const labels = { [typeLabel]: undefined };
    const list = await this.options.docker.containers.list({ labels }, { signal, deadlineMs });
    return { list, listedAtMs };
  }

  private refreshImagesSoon(): void {
    if (this.imageTimer || this.isClosed()) return;
    this.imageTimer = setTimeout(() => {
      this.imageTimer = undefined;
      this.options.images.refreshAll({ signal: this.closed.signal }).catch((error: unknown) => {
        if (!this.isClosed()) this.logImagesFailed(error);
      });
    }, imageQuietMs);
    this.imageTimer.unref();
  }

  private logImagesFailed(error: unknown): void {
    this.options.log.warn(
      { err: messageOf(error) },
      "could not list the images: serving the last known ones",
    );
  }

  /** Runs beside the event stream, which goes on meanwhile. */
  private refreshFacts(): void {
    const options = { signal: this.closed.signal, deadlineMs: factsDeadlineMs };
    this.options.readFacts(options).catch((error: unknown) => {
      if (!this.isClosed())
        this.options.log.warn({ err: messageOf(error) }, "could not read Docker's new configuration");
    });
  }
}
