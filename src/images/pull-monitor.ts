import { longestTimerMs, ShimError, type Logger } from "../base/index.js";
import type { PullProgress } from "../docker/index.js";

const logIntervalMs = 10_000;
/** How many deadlines an unpack without progress messages may take. */
const silentUnpackDeadlines = 10;

/**
 * Monitors one pull: cancels it without progress of download or extraction for the duration of the deadline, and logs its
 * progress. A slow pull has no time limit.
 */
export class PullMonitor {
  private readonly controller = new AbortController();
  private readonly counter = new PullProgressCounter();
  private readonly logTimer: NodeJS.Timeout;
  private readonly startedAtMs = performance.now();
  private lastProgressAtMs = this.startedAtMs;
  private deadline: NodeJS.Timeout;

  constructor(
    private readonly reference: string,
    private readonly deadlineMs: number,
    private readonly log: Logger,
  ) {
    this.deadline = this.arm();
    this.logTimer = setInterval(() => {
      this.logProgress();
    }, logIntervalMs);
  }

  /** Aborts when the deadline has passed, or by {@link abort}. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  onProgress(progress: PullProgress): void {
    if (!this.counter.update(progress)) return;
    this.lastProgressAtMs = performance.now();
    clearTimeout(this.deadline);
    if (!this.controller.signal.aborted) this.deadline = this.arm();
  }

  /** Cancels the pull. */
  abort(reason: ShimError): void {
    this.controller.abort(reason);
  }

  /** Clears the timers. @returns The duration of the pull. */
  close(): { readonly ms: number } {
    clearTimeout(this.deadline);
    clearInterval(this.logTimer);
    return { ms: Math.round(performance.now() - this.startedAtMs) };
  }

  private arm(): NodeJS.Timeout {
    const waitMs = this.deadlineMs * (this.counter.unpacksSilently ? silentUnpackDeadlines : 1);
    return setTimeout(
      () => {
        const { layersDone, layers, downloadedBytes, totalBytes } = this.counter.state;
        this.abort(
          new ShimError(
            "deadline-exceeded",
            `the pull of ${this.reference} made no progress for ${waitMs} ms and was cancelled, with ` +
              `${layersDone} of ${layers} layers complete and ${downloadedBytes} of ${totalBytes} bytes downloaded; ` +
              "check the registry and the node's network, or raise the image pull progress deadline",
          ),
        );
      },
      Math.min(waitMs, longestTimerMs),
    );
  }

  private logProgress(): void {
    const quietMs = Math.round(performance.now() - this.lastProgressAtMs);
    this.log.info({ image: this.reference, ...this.counter.state, quietMs }, "pulling an image");
  }
}

/** The progress of a pull. */
interface PullState {
  readonly layers: number;
  readonly layersDone: number;
  readonly downloadedBytes: number;
  /** Of the layers with a size in Docker's messages. */
  readonly totalBytes: number;
}

interface Layer {
  status: string;
  currentBytes: number;
  downloadedBytes: number;
  totalBytes: number;
  done: boolean;
}

/** Bounds the memory for a pull. No real image has as many layers. */
const mostLayers = 4096;
const doneStatuses = new Set(["Pull complete", "Already exists"]);

/** Sums up the messages of a pull and detects progress. */
class PullProgressCounter {
  private readonly layers = new Map<string, Layer>();

  /**
   * Processes one message.
   * @returns Whether it is progress. Repeated messages and the countdown to Docker's own retries are not.
   */
  update({ status, layer: id, currentBytes, totalBytes }: PullProgress): boolean {
    if (status.startsWith("Retrying in")) return false;
    if (id === undefined) return true;
    const known = this.layers.get(id);
    if (!known && this.layers.size >= mostLayers) return false;
    const layer = known ?? { status: "", currentBytes: 0, downloadedBytes: 0, totalBytes: 0, done: false };
    this.layers.set(id, layer);
    const sameStatus = layer.status === status;
    const moved = !sameStatus || (currentBytes ?? 0) > layer.currentBytes;
    layer.status = status;
    layer.currentBytes = currentBytes ?? (sameStatus ? layer.currentBytes : 0);
    if (status === "Downloading") {
      layer.downloadedBytes = layer.currentBytes;
      layer.totalBytes = totalBytes ?? layer.totalBytes;
    } else if (status === "Download complete") layer.downloadedBytes = layer.totalBytes;
    layer.done = doneStatuses.has(status);
    return moved;
  }

  /**
   * Whether all layers are downloaded and no message about extraction has followed: the containerd image store sends none
   * (seen with Docker 26.1).
   */
  get unpacksSilently(): boolean {
    let loaded = 0;
    for (const { status } of this.layers.values()) {
      if (status === "Download complete") loaded++;
      else if (status !== "Already exists" && !status.startsWith("Pulling from")) return false;
    }
    return loaded > 0;
  }

  get state(): PullState {
    const layers = [...this.layers.values()].filter(({ status }) => !status.startsWith("Pulling from"));
    const sum = (of: (layer: Layer) => number) => layers.reduce((total, layer) => total + of(layer), 0);
    return {
      layers: layers.length,
      layersDone: sum(({ done }) => (done ? 1 : 0)),
      downloadedBytes: sum(({ downloadedBytes }) => downloadedBytes),
      totalBytes: sum(({ totalBytes }) => totalBytes),
    };
  }
}
