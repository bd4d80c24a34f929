import { dirname } from "node:path";
import { inject, injectable } from "tsyringe";
import { codeOf, fileFailure, Gate, Logger, messageOf, ShimError } from "../base/index.js";
import { ShimConfig } from "../config/index.js";
import { DockerService, type DockerContainer } from "../docker/index.js";
import { Host } from "../host/index.js";
import { DockerJsonLink } from "./docker-json-link.js";
import type { Describe, LogKeeper } from "./keeper.js";
import { BufferPool, LogWriter, Pump } from "./pump/index.js";

/** A container and the place of its log. */
export interface LogTarget {
  /** 64 hex digits. */
  readonly id: string;
  /** Absolute; empty when kubelet wants no log. */
  readonly logPath: string;
  /**
   * The pod's log directory: neither it nor anything below it may be a link. By default the folder above the file's,
   * as kubelet's paths are POD/CONTAINER/N.log.
   */
  readonly logRoot?: string | undefined;
  /** Docker's log driver of the container, where it is known. */
  readonly logDriver?: string | undefined;
  /** What Docker says of a container that was started, where that is known: it need not be asked then. */
  readonly container?: DockerContainer | undefined;
}

/** What is open, for tests that look for leaks. */
export interface LogCounts {
  /** Logs that are kept: pumps and links. */
  readonly kept: number;
  /** Of them, those that are not complete. */
  readonly active: number;
}

/** Catching up reads what Docker has stored: more at a time would only make each slower. */
const catchUpsAtOnce = 4;
const catchUpPatienceMs = 2_000;
const defaultFinishMs = 10_000;

/**
 * The logs of all containers. Each is a file in CRI's format that a pump writes, or in the mode `docker-json`,
 * and for a container that cri-dockerd has left here, a link to Docker's own file.
 *
 * A pump writes each line once, whatever is killed meanwhile, and keeps no state but the file itself.
 * @see CRI log format: `TIME STREAM TAG TEXT`, with nine decimals; tag P when the text has no newline of its
 *   own, also for the last line of a container that ended without one, so that a reader shows just what was said.
 */
@injectable()
export class ContainerLogs {
  private readonly keepers = new Map<string, LogKeeper>();
  private readonly pool = new BufferPool();
  private readonly gate = new Gate(catchUpsAtOnce, catchUpPatienceMs);
  private isClosed = false;

  constructor(
    @inject(DockerService) private readonly docker: DockerService,
    @inject(Host) private readonly host: Host,
    @inject(ShimConfig) private readonly config: ShimConfig,
    @inject(Logger) private readonly log: Logger,
  ) {}

  /** What is open now. */
  get counts(): LogCounts {
    const keepers = [...this.keepers.values()];
    return { kept: keepers.length, active: keepers.filter((keeper) => !keeper.isComplete).length };
  }

  /**
   * Makes the log of a container that is about to be started, so that it is there when the container runs.
   * A file that cannot be made yet, as on a full disk, is tried again and holds nobody up. Idempotent.
   * @throws ShimError "failed-precondition" when a link, a file or a device stands in the way.
   */
  async start(target: LogTarget): Promise<void> {
    if (target.logPath === "" || !this.isFree(target.id)) return;
    // A link in its place is left over from a container that is no more.
    await this.removeLink(target);
    if (this.isLinked(target)) {
      await this.checkPlace(target);
      if (this.isFree(target.id)) this.keepers.set(target.id, this.linkFor(target, { isThere: false }));
      return;
    }
    const writer = this.writerFor(target);
    await this.openFirst(writer, target);
    if (this.isFree(target.id)) this.pump(target, writer, { isNew: true });
    else await writer.close();
  }

  /**
   * Tells that Docker has started the container. Without it the log begins a little later, and nothing is lost.
   * Never fails because of the log.
   * @param describe What Docker says of it then, where that comes to be known; it never rejects.
   */
  async started(containerId: string, describe?: Describe): Promise<void> {
    await this.keepers.get(containerId)?.started(describe);
  }

  /**
   * Waits until the log of a container that has ended is complete.
   * @param options.deadlineMs 10 s by default; a full disk may keep a log waiting for ever.
   * @returns False when it is not complete by then. It will be, as soon as it can.
   */
  async finish(containerId: string, options: { readonly deadlineMs?: number } = {}): Promise<boolean> {
    const keeper = this.keepers.get(containerId);
    if (!keeper || keeper.isComplete) return true;
    keeper.ended();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, options.deadlineMs ?? defaultFinishMs);
    });
    await Promise.race([keeper.complete, late]);
    clearTimeout(timer);
    return keeper.isComplete;
  }

  /**
   * Goes on in the file that the log path names now, and makes it: after kubelet has renamed the old one, the
   * next line goes to the new one. When it fails the old file is written on.
   * @throws ShimError "failed-precondition" for a container without a log, for one that has ended with its log
   *   complete, and when a link stands in the way; "unsupported" for a link to Docker's file;
   *   "resource-exhausted" when the disk is full; "internal" when the file cannot be made for another reason.
   * @see CRI v1 RuntimeService.ReopenContainerLog
   */
  async reopen(containerId: string): Promise<void> {
    const keeper = this.keepers.get(containerId);
    if (!keeper) {
      throw new ShimError(
        "failed-precondition",
        `container ${containerId} has no log to reopen: it was not started, or asked for no log`,
      );
    }
    try {
      await keeper.reopen();
    } catch (error) {
      throw openError(error, `reopening the log of container ${containerId}`);
    }
  }

  /**
   * Takes up the logs of containers that are there when the shim starts, running or not: each goes on where its
   * file ends. A link in the place of a file is left alone. Nothing here waits for Docker.
   */
  async resume(targets: readonly LogTarget[]): Promise<void> {
    await Promise.all(targets.map((target) => this.resumeOne(target)));
  }

  /**
   * Forgets the log of a container that was removed. Its files stay: they are kubelet's, which deletes them with
   * those it has rotated. A link to Docker's file, which is gone, is deleted.
   * @throws ShimError when the link cannot be deleted.
   */
  async remove(target: LogTarget): Promise<void> {
    const keeper = this.keepers.get(target.id);
    this.keepers.delete(target.id);
    await keeper?.stop();
    if (target.logPath !== "") await this.removeLink(target);
  }

  /** Ends all work; the files stay, and the next shim goes on where they end. Idempotent. */
  async close(): Promise<void> {
    this.isClosed = true;
    const keepers = [...this.keepers.values()];
    this.keepers.clear();
    await Promise.all(keepers.map((keeper) => keeper.stop()));
  }

  /** For the container that makes and disposes of the shim's classes. */
  async dispose(): Promise<void> {
    await this.close();
  }

  /** True when the log is to be a link to Docker's own file. A container made in the mode `cri` may have none. */
  private isLinked({ logDriver = "json-file" }: LogTarget): boolean {
    return this.config.logs.mode === "docker-json" && logDriver === "json-file";
  }

  /** @throws ShimError when a link could not be made: something stands in the place of a folder, or of the link. */
  private async checkPlace(target: LogTarget): Promise<void> {
    try {
      await (await this.host.logFiles.openExisting(target.logPath, { root: rootOf(target) }))?.close();
    } catch (error) {
      if (standsInTheWay(error)) throw openError(error, `making the log of container ${target.id}`);
    }
  }

  private isFree(id: string): boolean {
    return !this.isClosed && !this.keepers.has(id);
  }

  private async resumeOne(target: LogTarget): Promise<void> {
    if (target.logPath === "") return;
    const kind = await this.kindOf(target.logPath);
    if (!this.isFree(target.id)) return;
    const isLink = kind === "link";
    if (isLink || (kind === undefined && this.isLinked(target))) {
      this.keepers.set(target.id, this.linkFor(target, { isThere: isLink }));
    } else this.pump(target, this.writerFor(target), { isNew: false });
  }

  private pump(target: LogTarget, writer: LogWriter, { isNew }: { readonly isNew: boolean }): void {
    const { docker, host, log, pool, gate } = this;
    const keeper: LogKeeper = new Pump({
      id: target.id,
      path: target.logPath,
      docker: docker.containers,
      host,
      writer,
      pool,
      gate,
      log,
      isNew,
      container: target.container,
      onGone: () => {
        if (this.keepers.get(target.id) === keeper) this.keepers.delete(target.id);
      },
    });
    this.keepers.set(target.id, keeper);
  }

  private linkFor(target: LogTarget, { isThere }: { readonly isThere: boolean }): LogKeeper {
    const { docker, host, log } = this;
    const { id, logPath: path } = target;
    return new DockerJsonLink({
      id,
      path,
      root: rootOf(target),
      docker: docker.containers,
      host,
      log,
      isThere,
    });
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
    return new LogWriter({ host: this.host, path: target.logPath, root: rootOf(target), log: this.log });
  }

  /** Makes the file, or lets the pump try again. @throws ShimError when nobody ever could. */
  private async openFirst(writer: LogWriter, { id, logPath: path }: LogTarget): Promise<void> {
    try {
      await writer.open();
    } catch (error) {
      if (standsInTheWay(error)) throw openError(error, `making the log of container ${id}`);
      this.log.warn(
        { container: id, path, err: messageOf(error) },
        "cannot make the container's log file yet",
      );
    }
  }

  private async kindOf(path: string): Promise<"file" | "directory" | "link" | "other" | undefined> {
    try {
      return await this.host.files.kindOf(path);
    } catch (error) {
      // Whoever opens the file will meet the same, and tell.
      this.log.debug({ path, err: messageOf(error) }, "cannot look at a log path");
      return "other";
    }
  }
}

function rootOf({ logPath, logRoot }: LogTarget): string {
  return logRoot ?? dirname(dirname(logPath));
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
