import type { Logger } from "../../base/index.js";
import { messageOf } from "../../base/index.js";
import type { HostFiles, HostWatch } from "../../host/index.js";

/** A file that is being written comes as several changes. */
const settleMs = 100;

export interface FolderWatchOptions {
  readonly files: HostFiles;
  readonly directory: string;
  /** How often to look whether or not a change was told, in milliseconds. */
  readonly intervalMs: number;
  /** Called after a change, and at each interval. It must not throw. */
  readonly look: () => void;
  readonly log: Logger;
}

/** Follows a folder that may be missing, go and come back. */
export class FolderWatch {
  private watch: HostWatch | undefined;
  private interval: NodeJS.Timeout | undefined;
  private settling: NodeJS.Timeout | undefined;
  private opening: Promise<void> = Promise.resolve();
  private closed = false;

  constructor(private readonly options: FolderWatchOptions) {}

  async start(): Promise<void> {
    this.interval = setInterval(() => {
      if (!this.watch) this.reopen();
      this.options.look();
    }, this.options.intervalMs);
    this.interval.unref();
    this.reopen();
    await this.opening;
  }

  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.interval);
    clearTimeout(this.settling);
    await this.opening;
    this.watch?.close();
    this.watch = undefined;
  }

  /** A watch may be of a folder that was since replaced: every change opens a new one. */
  private reopen(): void {
    this.opening = this.opening.then(async () => {
      this.watch?.close();
      this.watch = undefined;
      if (this.closed) return;
      const { files, directory, log } = this.options;
      try {
        this.watch = await files.watch(directory, () => {
          this.changed();
        });
      } catch (error) {
        // Not there, or too many watches on this node: the interval finds what there is to find.
        log.debug({ directory, err: messageOf(error) }, "this folder cannot be watched now");
      }
    });
  }

  private changed(): void {
    if (this.closed) return;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      this.reopen();
      this.options.look();
    }, settleMs);
    this.settling.unref();
  }
}
