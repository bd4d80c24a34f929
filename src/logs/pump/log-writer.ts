import { basename, dirname, join } from "node:path";
import { KeyedLock, type Logger } from "../../base/index.js";
import type { Host, LogFile } from "../../host/index.js";
import { wholeLineBytes } from "../log-lines.js";
import { findResumePoint, type ResumePoint } from "./resume-point.js";

/** The mode of the log files of kubelet's other runtimes. */
const fileMode = 0o640;
/** How long the removal of the file by another program may go unnoticed. */
const checkEveryMs = 1_000;
/** Kubelet's suffix of a rotated file; it compresses all but the newest. */
const rotatedSuffix = /^\.\d{8}-\d{6}$/;
const newline = 0x0a;

/** The open file was removed or replaced: the last lines written to it may be lost. */
export class LogFileGone extends Error {
  override readonly name = "LogFileGone";
}

/**
 * The log file of one container. It only has whole lines: a line that was written in part is cut off again. Calls run
 * one after the other. Errors are Node's own.
 */
export class LogWriter {
  private readonly lock = new KeyedLock();
  private file: LogFile | undefined;
  /** The file before the last reopen, as long as the new one is empty. */
  private previous: LogFile | undefined;
  private maybeIncomplete = true;
  private checkedAtMs = -Infinity;

  /** @param root Neither this folder nor anything below it may be a link. */
  constructor(
    private readonly host: Pick<Host, "files" | "logFiles">,
    private readonly path: string,
    private readonly root: string,
    private readonly log: Logger,
  ) {}

  /** Opens the file, making it when it is missing. */
  open(): Promise<void> {
    return this.exclusive(async () => {
      await this.opened();
    });
  }

  /**
   * Writes whole lines.
   * @returns How many bytes of them are in the file now, always up to the end of a line.
   * @throws LogFileGone when the file has no name any more.
   */
  write(lines: Buffer): Promise<number> {
    return this.exclusive(async () => {
      // Fast path: the file is already open and intact.
      const file = this.file && !this.maybeIncomplete ? this.file : await this.opened();
      if (performance.now() - this.checkedAtMs >= checkEveryMs) await this.checkName(file);
      const taken = await file.append(lines);
      const whole = taken === lines.length ? taken : lines.lastIndexOf(newline, taken - 1) + 1;
      if (taken > whole) {
        this.maybeIncomplete = true;
        // The whole lines are written, even if the rest cannot be cut off now.
        await this.repair(file).catch(() => undefined);
      }
      if (whole > 0 && this.previous) await this.forgetPrevious();
      return whole;
    });
  }

  /** Continues in the file that the path names now, and makes it when it is missing. */
  reopen(): Promise<void> {
    return this.exclusive(async () => {
      const before = this.file;
      if (before && this.maybeIncomplete) await this.repair(before).catch(() => undefined);
      const after = await this.openFile();
      let isOther = false;
      try {
        isOther = (await after.stat()).identity !== (await before?.stat())?.identity;
      } finally {
        if (!isOther) await after.close();
      }
      if (!isOther) return;
      await this.forgetPrevious();
      this.previous = before;
      this.file = after;
      this.maybeIncomplete = true;
    });
  }

  /**
   * Opens the file that the path names now, after {@link LogFileGone}. Its content decides where to resume; when it is
   * new, the lines of the removed file count as written.
   */
  async recover(): Promise<void> {
    const isReplaced = (await this.host.logFiles.identityOf(this.path)) !== undefined;
    await this.reopen();
    if (isReplaced) await this.exclusive(() => this.forgetPrevious());
  }

  /** The last entry that was written, in this file or in those rotated before it. */
  resumePoint(): Promise<ResumePoint | undefined> {
    return this.exclusive(async () => {
      await this.opened();
      return await findResumePoint(this.filesNewestFirst());
    });
  }

  /** Idempotent; a later call opens the file again. */
  close(): Promise<void> {
    return this.exclusive(async () => {
      await this.forgetPrevious();
      await this.file?.close();
      this.file = undefined;
    });
  }

  private async opened(): Promise<LogFile> {
    this.file ??= await this.openFile();
    if (this.maybeIncomplete) await this.repair(this.file);
    return this.file;
  }

  private async openFile(): Promise<LogFile> {
    const { host, path, root } = this;
    this.maybeIncomplete = true;
    this.checkedAtMs = performance.now();
    return await host.logFiles.openAppend(path, { root, mode: fileMode });
  }

  /** Makes the file end with a whole line, after a crash or a full disk. */
  private async repair(file: LogFile): Promise<void> {
    if (!(await this.cutIncompleteLine(file))) {
      const text =
        "the log file ends in megabytes without a newline, which docker-cri does not write: added a newline";
      this.log.warn({ path: this.path }, text);
      await file.append(Buffer.of(newline));
    }
    this.maybeIncomplete = false;
  }

  /** Cuts off an incomplete line. @returns False for one that is too long to be a log line. */
  private async cutIncompleteLine(file: LogFile): Promise<boolean> {
    const { sizeBytes } = await file.stat();
    const whole = await wholeLineBytes(file);
    if (whole === undefined) return false;
    if (whole < sizeBytes) {
      await file.truncate(whole);
      this.log.debug({ path: this.path, bytes: sizeBytes - whole }, "cut off an incomplete log line");
    }
    return true;
  }

  private async checkName(file: LogFile): Promise<void> {
    this.checkedAtMs = performance.now();
    if (!(await file.stat()).linked) throw new LogFileGone(`${this.path} was removed while it was written`);
  }

  private async *filesNewestFirst(): AsyncGenerator<LogFile> {
    // Kubelet may have renamed them; they would appear twice.
    const seen = new Set<string>();
    for (const file of [this.file, this.previous]) {
      if (!file) continue;
      seen.add((await file.stat()).identity);
      yield file;
    }
    const { host, path, root } = this;
    const directory = dirname(path);
    const name = basename(path);
    const rotated = (await host.files.list(directory))
      .filter((other) => other.startsWith(name) && rotatedSuffix.test(other.slice(name.length)))
      .sort()
      .reverse();
    for (const other of rotated) {
      const file = await host.logFiles.openExisting(join(directory, other), { root });
      if (!file) continue;
      try {
        if (seen.has((await file.stat()).identity)) continue;
        // docker-cri may have been killed within a line, and kubelet may have rotated the file since.
        await this.cutIncompleteLine(file);
        yield file;
      } finally {
        await file.close();
      }
    }
  }

  private async forgetPrevious(): Promise<void> {
    const { previous } = this;
    this.previous = undefined;
    await previous?.close();
  }

  private exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.lock.run("file", work);
  }
}
