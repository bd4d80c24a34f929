import { Backoff, isKind, messageOf, ShimError, sleep, type Gate, type Logger } from "../../base/index.js";
import type { DockerContainer, LogBatchOptions, LogFrame } from "../../docker/index.js";
import type { Host } from "../../host/index.js";
import { Alarm } from "../alarm.js";
import type { Describe, LogKeeper, LogSource } from "../keeper.js";
import type { BufferPool } from "./buffer-pool.js";
import { LineSink } from "./line-sink.js";
import { LogFileGone, type LogWriter } from "./log-writer.js";
import { Replay } from "./replay.js";
import { Trouble } from "./trouble.js";

const firstRetryMs = 25;
const longestRetryMs = 5_000;
/** Docker's starts take a third of a second; who starts a container says so, and this is for the others. */
const firstLookMs = 200;
const longestLookMs = 10_000;
/** How long the news of a container's end may come after the end of its stream. */
const tellingMs = 100;
/** How long the stream of a container that has ended may take to end by itself. */
const endingMs = 500;
/** How long what is on its way may still be written when the pump is stopped. */
const stoppingMs = 500;
const readingTexts = {
  begin: "cannot carry the container's log from Docker to its file; trying again",
  over: "the container's log is carried to its file again",
};
const writingTexts = {
  begin:
    "cannot write the container's log file; its lines wait, and Docker with them, until it can be written",
  over: "the container's log file can be written again",
};

export interface PumpOptions {
  readonly id: string;
  readonly path: string;
  readonly docker: LogSource;
  readonly host: Pick<Host, "logFiles">;
  readonly writer: LogWriter;
  readonly pool: BufferPool;
  readonly gate: Gate;
  readonly log: Logger;
  /** The container is about to be started: wait until it is. */
  readonly isNew: boolean;
  /** What Docker says of one that was started before, where that is known. */
  readonly container: DockerContainer | undefined;
  /** There is no such container any more. */
  readonly onGone: () => void;
}

type Stage = "created" | "running" | "ended";

/** Carries the log of one container from Docker into its file, from its first line to its last. */
export class Pump implements LogKeeper {
  readonly complete: Promise<void>;
  isComplete = false;
  private readonly stopped = new AbortController();
  private readonly sink: LineSink;
  private readonly replay: Replay;
  private readonly running: Promise<void>;
  private readonly reading: Trouble;
  private markComplete: () => void = () => undefined;
  private readonly alarm = new Alarm();
  private isFileGone = false;
  /** What Docker said of the container when it was started. */
  private told: DockerContainer | undefined;
  /** What stays as it is once the container was started. */
  private described: DockerContainer | undefined;
  private isOver = false;
  private endingTimer: NodeJS.Timeout | undefined;

  constructor(private readonly options: PumpOptions) {
    const { id, path, log, writer, pool } = options;
    const { signal } = this.stopped;
    this.described = options.container;
    this.complete = new Promise((resolve) => (this.markComplete = resolve));
    this.reading = new Trouble(log, { container: id }, readingTexts);
    const writing = new Trouble(log, { container: id, path }, writingTexts);
    this.sink = new LineSink({
      writer,
      pool,
      signal,
      onTrouble: (error) => {
        writing.say(error);
      },
      onWritten: () => {
        writing.isOver();
      },
      onGone: () => {
        this.isFileGone = true;
        this.replay.cut();
      },
    });
    this.replay = new Replay({
      ...options,
      describe: () => this.describe(),
      read: (wanted) => this.read(wanted),
      sink: this.sink,
      signal,
    });
    this.running = this.run();
  }

  started(describe?: Describe): Promise<void> {
    void this.begin(describe);
    return Promise.resolve();
  }

  ended(): void {
    this.isOver = true;
    this.alarm.ring();
    this.replay.hurry();
    if (this.isComplete || this.endingTimer) return;
    this.endingTimer = setTimeout(() => {
      this.endingTimer = undefined;
      this.replay.cut();
    }, endingMs);
  }

  async reopen(): Promise<void> {
    if (this.isComplete) {
      const text = `container ${this.options.id} has ended and its log is complete: there is nothing to go on with`;
      throw new ShimError("failed-precondition", text);
    }
    await this.options.writer.reopen();
  }

  async stop(): Promise<void> {
    const { signal } = this.stopped;
    this.replay.cut();
    const flushed = this.sink.flushed().catch(() => undefined);
    await Promise.race([flushed, sleep(stoppingMs, signal).catch(() => undefined)]);
    this.stopped.abort();
    this.alarm.ring();
    await this.running;
  }

  private async begin(describe: Describe | undefined): Promise<void> {
    this.told = await describe?.();
    this.alarm.ring();
  }

  private async run(): Promise<void> {
    const backoff = new Backoff(firstRetryMs, longestRetryMs);
    let stage: Stage = this.options.isNew ? "created" : "running";
    while (!this.isStopped() && !this.isComplete) {
      const beganAt = performance.now();
      let next: Stage | "again" | "failed";
      try {
        next = stage === "created" ? await this.untilStarted() : await this.session(stage);
        this.reading.isOver();
      } catch (error) {
        next = this.afterFailure(error);
      }
      if (next === "ended" || next === "created") stage = next;
      else if (stage === "created" && next === "running") stage = next;
      else if (next !== "again") await this.rest(backoff, beganAt);
    }
    clearTimeout(this.endingTimer);
    await this.options.writer.close().catch((error: unknown) => {
      this.reading.say(error);
    });
  }

  /** Carries on until the stream ends. @returns Where the container is then. */
  private async session(stage: "running" | "ended"): Promise<Stage | "again"> {
    if (this.isFileGone) await this.recoverFile();
    await this.replay.catchUp({ everything: stage === "ended" });
    if (this.isStopped()) return stage;
    if (stage === "ended") {
      this.finish();
      return stage;
    }
    const end = await this.replay.follow();
    if (end !== "ended" || this.isFileGone) return "again";
    // Whoever watches the container is about to tell: Docker is at work on it, and had better not be asked.
    if (!this.isOver) await this.alarm.wait(tellingMs);
    return this.isOver ? "ended" : await this.stage();
  }

  private async recoverFile(): Promise<void> {
    this.sink.reset();
    await this.options.writer.recover();
    this.isFileGone = false;
  }

  private async describe(): Promise<DockerContainer> {
    const { docker, id } = this.options;
    this.described ??= this.told ?? (await docker.inspect(id, { signal: this.stopped.signal }));
    return this.described;
  }

  private async read(options: LogBatchOptions): Promise<AsyncIterable<readonly LogFrame[]>> {
    const { docker, id } = this.options;
    const { tty: isTerminal } = (await this.describe()).config;
    return docker.logBatches(id, { ...options, isTerminal });
  }

  private async stage(): Promise<Stage> {
    const { docker, id } = this.options;
    return stageOf(await docker.inspect(id, { signal: this.stopped.signal }));
  }

  private async untilStarted(): Promise<Stage> {
    const backoff = new Backoff(firstLookMs, longestLookMs);
    let stage: Stage = "created";
    while (stage === "created" && !this.isStopped()) {
      await this.alarm.wait(backoff.next());
      if (!this.isStopped()) stage = this.told ? stageOf(this.told) : await this.stage();
    }
    return stage;
  }

  private afterFailure(error: unknown): "again" | "failed" {
    if (error instanceof LogFileGone || this.isStopped()) return "again";
    const { id, log, onGone } = this.options;
    if (isKind(error, "not-found")) {
      log.debug({ container: id }, "the container is gone, and with it the rest of its log");
      this.finish();
      onGone();
    } else if (isKind(error, "unsupported")) {
      log.warn(
        { container: id, err: messageOf(error) },
        "the container's log driver cannot be read: its log stays empty",
      );
      this.finish();
    } else this.reading.say(error);
    return "failed";
  }

  private finish(): void {
    this.isComplete = true;
    this.markComplete();
  }

  /** Waits before the next try, the longer the quicker the last one was over. */
  private async rest(backoff: Backoff, beganAt: number): Promise<void> {
    if (this.isComplete) return;
    if (performance.now() - beganAt > longestRetryMs) backoff.reset();
    await this.alarm.wait(backoff.next());
  }

  private isStopped(): boolean {
    return this.stopped.signal.aborted;
  }
}

function stageOf({ state }: DockerContainer): Stage {
  if (state.running) return "running";
  return state.status === "created" && state.startedAtNanos === undefined ? "created" : "ended";
}
