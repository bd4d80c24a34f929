import { inject, injectable } from "../base/injection.js";
import { codeOf, fileFailure, Gate, Logger, messageOf, settlesWithin, ShimError } from "../base/index.js";
import { ShimConfig } from "../config/index.js";
import { DockerService } from "../docker/index.js";
import { Host } from "../host/index.js";
import {
  rootOf,
  type ContainerLog,
  type Describe,
  logWarnings,
  type LogContext,
  type LogTarget,
  type WrittenLines,
} from "./container-log.js";
import { DockerJsonLink } from "./docker-json-link.js";
import { BufferPool } from "./pump/line-buffer.js";
import { LogWriter } from "./pump/log-writer.js";
import { Pump } from "./pump/pump.js";

/** The number of open logs, for tests that look for leaks. */
export interface LogCounts {
  /** Pumps and links. */
  readonly kept: number;
  /** Those of them that are not complete. */
  readonly active: number;
}

/** Reading what Docker has stored: more at a time only makes each slower. */
const catchUpsAtOnce = 4;
/** One that takes longer than this does not count any more. */
const longCatchUpMs = 2_000;
const defaultFinishMs = 10_000;

/**
 * The logs of all containers. Each is a file in CRI's format that a pump writes; in the mode `docker-json`, and for
 * containers that cri-dockerd made, it is a link to Docker's own file.
 *
 * A pump writes each line once, also when docker-cri or Docker is killed meanwhile. It keeps no state but the file.
 * @see CRI log format: `TIME STREAM TAG TEXT`, with nine decimals. The tag is P when the text has no newline of its own,
 *   also for the last line of a container that ended without one.
 */
@injectable()
export class ContainerLogs {
  private readonly open = new Map<string, ContainerLog>();
  private readonly context: LogContext;
  private isClosed = false;

  constructor(
    @inject(DockerService) docker: DockerService,
    @inject(Host) private readonly host: Host,
    @inject(ShimConfig) private readonly config: ShimConfig,
    @inject(Logger) private readonly log: Logger,
  ) {
    const gate = new Gate(catchUpsAtOnce, longCatchUpMs);
    this.context = {
      docker: docker.containers,
      host,
      log,
      pool: new BufferPool(),
      gate,
      warnings: logWarnings(log),
    };
  }

  /** Calls `listener` with each write of a pump; there is one listener. @returns Ends that. */
  onWrite(listener: (written: WrittenLines) => void): () => void {
    this.context.onWrite = listener;
    return () => {
      this.context.onWrite = undefined;
    };
  }

  get counts(): LogCounts {
    const logs = [...this.open.values()];
    return { kept: logs.length, active: logs.filter(({ isComplete }) => !isComplete).length };
  }

  /**
   * Makes the log of a container that is about to be started, so that it exists when the container runs. A file that
   * cannot be made yet, as on a full disk, is retried and does not delay the start. Idempotent.
   * @throws ShimError "failed-precondition" when a link, a file or a device stands in the way.
   */
  async start(target: LogTarget): Promise<void> {
    if (target.logPath === "" || !this.isFree(target.id)) return;
    // A link in its place is left from a container that was removed.
    await this.removeLink(target);
    if (this.isLinked(target)) {
      await this.checkPlace(target);
      if (this.isFree(target.id)) this.openLink(target, { exists: false });
      return;
    }
    const writer = this.writerFor(target);
    await this.openFirst(writer, target);
    if (this.isFree(target.id)) this.openPump(target, writer, { isNew: true });
    else await writer.close();
  }

  /**
   * Reports that Docker has started the container. Without it the log begins a little later, and nothing is lost. It
   * never rejects.
   * @param describe Docker's description of the container then.
   */
  async started(containerId: string, describe?: Describe): Promise<void> {
    await this.open.get(containerId)?.started(describe);
  }

  /**
   * Waits until the log of a container that has ended is complete.
   * @param options.deadlineMs 10 s by default; on a full disk a log may wait for ever.
   * @returns False when it is not complete by then; it is completed later.
   */
  async finish(containerId: string, options: { readonly deadlineMs?: number } = {}): Promise<boolean> {
    const log = this.open.get(containerId);
    if (!log || log.isComplete) return true;
    log.ended();
    await settlesWithin(options.deadlineMs ?? defaultFinishMs, log.complete);
    return log.isComplete;
  }

  /**
   * Continues in the file that the log path names now, and makes it: after kubelet has renamed the old file, the next
   * line goes to the new one. When it fails the old file is still written.
   * @throws ShimError "failed-precondition" for a container without a log, for one that has ended with its log
   *   complete, and when a link stands in the way; "unsupported" for a link to Docker's file;
   *   "resource-exhausted" when the disk is full; "internal" when the file cannot be made for another reason.
   * @see CRI v1 RuntimeService.ReopenContainerLog
   */
  async reopen(containerId: string): Promise<void> {
    const log = this.open.get(containerId);
    if (!log) {
      throw new ShimError(
        "failed-precondition",
        `container ${containerId} has no log to reopen: it was not started, or its log_path is empty`,
      );
    }
    try {
      await log.reopen();
    } catch (error) {
      throw openError(error, `reopening the log of container ${containerId}`);
    }
  }

  /**
   * Resumes the logs of the containers that exist when the shim starts, running or not, each where its file ends. A link
   * in the place of a file is left alone. This does not wait for Docker.
   */
  async resume(targets: readonly LogTarget[]): Promise<void> {
    await Promise.all(targets.map((target) => this.resumeOne(target)));
  }

  /**
   * Closes the log of a container that was removed. Its files stay: kubelet deletes them with those it has rotated. A
   * link to Docker's file, which no longer exists, is deleted.
   * @throws ShimError when the link cannot be deleted.
   */
  async remove(target: LogTarget): Promise<void> {
    const log = this.open.get(target.id);
    this.open.delete(target.id);
    await log?.stop();
    if (target.logPath !== "") await this.removeLink(target);
  }

  /** Ends all work; the files stay, and the next shim resumes where they end. Idempotent. */
  async close(): Promise<void> {
    this.isClosed = true;
    const logs = [...this.open.values()];
    this.open.clear();
    await Promise.all(logs.map((log) => log.stop()));
  }

  /** Called by the injection container. */
  async dispose(): Promise<void> {
    await this.close();
  }

  /** True when the log is a link to Docker's own file. A container created in the mode `cri` may have no such file. */
  private isLinked({ logDriver = "json-file" }: LogTarget): boolean {
    return this.config.logs.mode === "docker-json" && logDriver === "json-file";
  }

  /** @throws ShimError when a link cannot be created because something is in its place, or in place of a folder. */
  private async checkPlace(target: LogTarget): Promise<void> {
    try {
      await (await this.host.logFiles.openExisting(target.logPath, { root: rootOf(target) }))?.close();
    } catch (error) {
      if (standsInTheWay(error)) throw openError(error, `making the log of container ${target.id}`);
    }
  }

  private isFree(id: string): boolean {
    return !this.isClosed && !this.open.has(id);
  }

  private async resumeOne(target: LogTarget): Promise<void> {
    if (target.logPath === "") return;
    const kind = await this.kindOf(target.logPath);
    if (!this.isFree(target.id)) return;
    const isLink = kind === "link";
    if (isLink || (kind === undefined && this.isLinked(target))) {
      this.openLink(target, { exists: isLink });
    } else this.openPump(target, this.writerFor(target), { isNew: false });
  }

  private openPump(target: LogTarget, writer: LogWriter, { isNew }: { readonly isNew: boolean }): void {
    const onGone = () => {
      if (this.open.get(target.id) === pump) this.open.delete(target.id);
    };
    const pump = new Pump(this.context, target, writer, isNew, onGone);
    this.open.set(target.id, pump);
  }

  private openLink(target: LogTarget, { exists }: { readonly exists: boolean }): void {
    this.open.set(target.id, new DockerJsonLink(this.context, target, { exists }));
  }

  private async removeLink(target: LogTarget): Promise<void> {
    const { logPath } = target;
    try {
      await this.host.logFiles.removeLink(logPath, { root: rootOf(target) });
    } catch (error) {
      throw fileFailure(`cannot remove the link ${logPath}`, error, "logs.remove");
    }
  }

  private writerFor(target: LogTarget): LogWriter {
    return new LogWriter(this.host, target.logPath, rootOf(target), this.log);
  }

  /** Makes the file, or leaves it to the pump's retries. @throws ShimError when no retry helps. */
  private async openFirst(writer: LogWriter, { id, logPath: path }: LogTarget): Promise<void> {
    try {
      await writer.open();
    } catch (error) {
      if (standsInTheWay(error)) throw openError(error, `making the log of container ${id}`);
      this.context.warnings.writing.of(id, { path }).failed(error);
    }
  }

  private async kindOf(path: string): Promise<"file" | "directory" | "link" | "other" | undefined> {
    try {
      return await this.host.files.kindOf(path);
    } catch (error) {
      // Opening the file fails in the same way, with a warning.
      this.log.debug({ path, err: messageOf(error) }, "cannot stat a log path");
      return "other";
    }
  }
}

function openError(error: unknown, doing: string): unknown {
  if (!standsInTheWay(error)) return fileFailure(doing, error, "logs.open");
  const text = `${doing}: ${messageOf(error)}. Remove what stands at the log path`;
  return new ShimError("failed-precondition", text, { operation: "logs.open", cause: error });
}

/** True for an error that no retry helps against: a link, folder, file or device in the way, or too long a path. */
function standsInTheWay(error: unknown): boolean {
  return ["ELOOP", "EINVAL", "EISDIR", "ENOTDIR", "ENAMETOOLONG"].includes(codeOf(error) ?? "");
}
