import { realpath } from "node:fs/promises";
import { ShimError, sleep } from "../../base/index.js";
import { identityOf, LinesForward, LogFileOnDisk, rotatedSince } from "./log-file.js";

const firstPollMs = 20;
const longestPollMs = 250;

/** A line and its offset. */
export interface PlacedLine {
  readonly line: Buffer;
  /** Undefined in every file after the first. */
  readonly startBytes: number | undefined;
}

/** A log that is rotated: its file is renamed, and a new one takes its path. */
export class RotatingLog implements AsyncDisposable {
  private constructor(
    private readonly path: string,
    private current: LogFileOnDisk,
  ) {}

  /** @throws ShimError "not-found". */
  static async open(path: string): Promise<RotatingLog> {
    // Docker's own file, behind a link, is rotated beside itself.
    const real = await realpath(path).catch(() => path);
    const file = await LogFileOnDisk.open(real);
    if (!file) throw new ShimError("not-found", `there is no log file ${path}`);
    return new RotatingLog(real, file);
  }

  get file(): LogFileOnDisk {
    return this.current;
  }

  /** The lines from an offset on; with `follow` also new ones, until the signal aborts. */
  async *lines(
    startBytes: number,
    { follow, signal }: { readonly follow: boolean; readonly signal?: AbortSignal | undefined },
  ): AsyncGenerator<PlacedLine> {
    let reader = new LinesForward(this.current, startBytes);
    let isFirst = true;
    let pollMs = firstPollMs;
    while (!signal?.aborted) {
      // Checked first: a file that is renamed after this is read to its end all the same.
      const isOver = follow && (await this.isReplaced());
      for await (const placed of reader.toEnd()) {
        pollMs = firstPollMs;
        yield isFirst ? placed : { line: placed.line, startBytes: undefined };
        if (signal?.aborted) return;
      }
      if (!follow) return;
      const newer = isOver ? await this.openNext() : undefined;
      if (newer) {
        await this.current.close();
        this.current = newer;
        reader = new LinesForward(newer, 0);
        isFirst = false;
        continue;
      }
      await sleep(pollMs, signal).catch(() => undefined);
      pollMs = Math.min(pollMs * 2, longestPollMs);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.current.close();
  }

  /** True once the path names another file. Between the renaming and that, the old file may still be written. */
  private async isReplaced(): Promise<boolean> {
    const named = await identityOf(this.path);
    return named !== undefined && named !== this.current.identity;
  }

  /** Opens the file to read after the present one; undefined while it is being made or renamed. */
  private async openNext(): Promise<LogFileOnDisk | undefined> {
    const { identity } = this.current;
    const [rotated] = await rotatedSince(this.path, identity);
    const file = await LogFileOnDisk.open(rotated ?? this.path);
    // It may be a later file by now: then the one before it was renamed, and the next call finds it there.
    const [first] = await rotatedSince(this.path, identity);
    const isNext = first === undefined || (await identityOf(first)) === file?.identity;
    if (file && isNext && file.identity !== identity) return file;
    await file?.close();
    return undefined;
  }
}
