import { posix } from "node:path";
import { messageOf, ShimError } from "../base/index.js";
import type { DockerContainer } from "../docker/index.js";
import type { HostWatch } from "../host/index.js";
import type { ContainersContext } from "./context.js";

const cgroupRoot = "/sys/fs/cgroup";
const containerId = /^[0-9a-f]{64}$/;
/** Batches the change events of several files. */
const settleMs = 50;
/** Rate limit, in case another process keeps rewriting the files. */
const minRewriteIntervalMs = 1_000;

/**
 * The cgroup v2 directory of a running container; undefined if its process is gone. Also undefined, with a warning, if the
 * runtime created no cgroup for the container, as runtimes with virtual machines may.
 */
export async function findCgroup(
  { id, state: { pid } }: DockerContainer,
  { host, log }: ContainersContext,
): Promise<string | undefined> {
  if (!pid || !containerId.test(id)) return undefined;
  let text: string;
  try {
    text = (await host.files.read(`/proc/${pid}/cgroup`)).toString("utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
  // A process such as systemd may be in a cgroup below its container's.
  const [, path] = new RegExp(`^0::(/[^\\n]*${id}[^/\\n]*)`, "m").exec(text) ?? [];
  if (path !== undefined && !path.includes("/../")) return posix.join(cgroupRoot, path);
  const cgroup = text.slice(0, 500).trim();
  log.warn(
    { container: id, cgroup },
    "the runtime gave the container no cgroup of its own: its cgroup limits are not set",
  );
  return undefined;
}

/** Writes files of a cgroup, and rewrites them when another process changes them. */
export class CgroupEnforcer {
  /** `readBack` is the kernel's form of the value, which may be rounded or normalized. */
  private readonly written = new Map<string, { readonly value: string; readonly readBack: string }>();
  private readonly watches: HostWatch[] = [];
  private timer: NodeJS.Timeout | undefined;
  private lastWriteMs = -Infinity;
  private closed = false;

  constructor(
    private readonly folder: string,
    private readonly context: ContainersContext,
  ) {}

  /**
   * Writes the files and watches them until closed. Succeeds if the cgroup is removed meanwhile.
   * @throws ShimError "failed-precondition" with the file that could not be written.
   */
  async start(files: Readonly<Record<string, string>>): Promise<void> {
    try {
      for (const [file, value] of Object.entries(files)) await this.write(file, value);
    } catch (error) {
      this.close();
      if (await this.isThere()) throw error;
      return;
    }
    await this.watch();
  }

  /** Stops watching. The files keep their values. */
  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    for (const watch of this.watches) watch.close();
  }

  private async isThere(): Promise<boolean> {
    return (await this.context.host.files.kindOf(this.folder)) === "directory";
  }

  private async write(file: string, value: string): Promise<void> {
    const { files } = this.context.host;
    const path = posix.join(this.folder, file);
    try {
      await files.overwrite(path, value);
      this.written.set(file, { value, readBack: (await files.read(path)).toString("utf8") });
    } catch (cause) {
      throw new ShimError(
        "failed-precondition",
        `resources.unified[${JSON.stringify(file)}]: ${JSON.stringify(value)} could not be written to ${path}: ` +
          `${messageOf(cause)}; the kernel rejects the value, or this node does not support the limit: leave it out`,
        { cause },
      );
    }
  }

  private async watch(): Promise<void> {
    const { host, log } = this.context;
    try {
      for (const file of this.written.keys()) {
        const watch = await host.files.watch(posix.join(this.folder, file), () => {
          this.scheduleRestore();
        });
        if (this.closed) watch.close();
        else this.watches.push(watch);
      }
    } catch (error) {
      if (!this.closed && (await this.isThere()))
        log.warn({ cgroup: this.folder, err: messageOf(error) }, "cannot watch a container's cgroup limits");
    }
  }

  private scheduleRestore(): void {
    if (this.closed || this.timer !== undefined) return;
    const delayMs = Math.max(settleMs, this.lastWriteMs + minRewriteIntervalMs - performance.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.restore();
    }, delayMs).unref();
  }

  /** Rewrites changed files. Never throws. */
  private async restore(): Promise<void> {
    const { host, log } = this.context;
    const changed: string[] = [];
    try {
      for (const [file, { value, readBack }] of this.written) {
        const now = await host.files.read(posix.join(this.folder, file));
        if (this.closed) return;
        if (now.toString("utf8") === readBack) continue;
        this.lastWriteMs = performance.now();
        await this.write(file, value);
        changed.push(file);
      }
    } catch (error) {
      if (!this.closed && (await this.isThere().catch(() => true)))
        log.warn({ cgroup: this.folder, err: messageOf(error) }, "could not restore cgroup limits");
    }
    if (changed.length > 0)
      log.debug(
        { cgroup: this.folder, files: changed },
        "restored cgroup limits that another process had changed",
      );
  }
}
