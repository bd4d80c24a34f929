import type { PullProgress } from "../docker/index.js";

/** How far a pull has come. */
export interface PullState {
  readonly layers: number;
  readonly layersDone: number;
  readonly downloadedBytes: number;
  /** Of the layers whose size Docker has told. */
  readonly totalBytes: number;
}

interface Layer {
  status: string;
  currentBytes: number;
  downloadedBytes: number;
  totalBytes: number;
  done: boolean;
}

/** A pull that names more layers than any image has is not believed. */
const mostLayers = 4096;
const doneStatuses = new Set(["Pull complete", "Already exists"]);

/** Adds up what a pull says, and tells what is progress from what is only talk. */
export class PullMeter {
  private readonly layers = new Map<string, Layer>();

  /**
   * Takes one message in.
   * @returns Whether something has moved. Docker repeats itself while nothing does, and counts down to its own
   *   retries: neither is progress.
   */
  take({ status, layer: id, currentBytes, totalBytes }: PullProgress): boolean {
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
   * Whether all has been loaded and nothing was said of what comes next: containerd's image store unpacks without
   * a word (seen with Docker 26.1).
   */
  get unpacksUnseen(): boolean {
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
