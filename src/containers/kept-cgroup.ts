import { posix } from "node:path";
import { messageOf, ShimError, type Logger } from "../base/index.js";
import type { DockerContainer } from "../docker/index.js";
import type { Host, HostWatch } from "../host/index.js";

const cgroupRoot = "/sys/fs/cgroup";
const containerId = /^[0-9a-f]{64}$/;
/** A reset touches several files: they are looked at together. */
const settleMs = 50;
/** The pace of two writers that each insist on a value of their own. */
const againMs = 1_000;

interface Context {
  readonly host: Host;
  readonly log: Logger;
}

/**
 * A running container's own cgroup, v2; undefined when its process is gone. Where the runtime has put the process into no
 * cgroup of its own, as one with virtual machines may, the log says so.
 */
export async function findCgroup(
  { id, state: { pid } }: DockerContainer,
  { host, log }: Context,
): Promise<string | undefined> {
  if (!pid || !containerId.test(id)) return undefined;
  let text: string;
  try {
    text = (await host.files.read(`/proc/${pid}/cgroup`)).toString("utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
  // A program such as systemd moves itself into a cgroup below its container's.
  const [, path] = new RegExp(`^0::(/[^\\n]*${id}[^/\\n]*)`, "m").exec(text) ?? [];
  if (path !== undefined && !path.includes("/../")) return posix.join(cgroupRoot, path);
  const cgroup = text.slice(0, 500).trim();
  log.warn(
    { container: id, cgroup },
    "the runtime gave the container no cgroup of its own: its cgroup limits are not set",
  );
  return undefined;
}

/** Files of a cgroup that hold the values which were written here, whoever else writes them. */
export class KeptCgroup {
  /** What the kernel made of each value: it rounds, and spells some in its own way. */
  private readonly written = new Map<string, { readonly value: string; readonly shown: string }>();
  private readonly watches: HostWatch[] = [];
  private timer: NodeJS.Timeout | undefined;
  private lastWriteMs = -Infinity;
  private closed = false;

  constructor(
    private readonly folder: string,
    private readonly context: Context,
  ) {}

  /**
   * Writes the files and watches them until closed. A cgroup that goes meanwhile is a success.
   * @throws ShimError "failed-precondition" naming the file that could not be written.
   */
  async begin(files: Readonly<Record<string, string>>): Promise<void> {
    try {
      for (const [file, value] of Object.entries(files)) await this.write(file, value);
    } catch (error) {
      this.close();
      if (await this.isThere()) throw error;
      return;
    }
    await this.watch();
  }

  /** The files stay as they are. */
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
      this.written.set(file, { value, shown: (await files.read(path)).toString("utf8") });
    } catch (cause) {
      throw new ShimError(
        "failed-precondition",
        `resources.unified[${JSON.stringify(file)}]: ${JSON.stringify(value)} could not be written to ${path}: ` +
          `${messageOf(cause)}; the kernel does not take the value, or this node lacks the limit: leave it out`,
        { cause },
      );
    }
  }

  private async watch(): Promise<void> {
    const { host, log } = this.context;
    try {
      for (const file of this.written.keys()) {
        const watch = await host.files.watch(posix.join(this.folder, file), () => {
          this.lookSoon();
        });
        if (this.closed) watch.close();
        else this.watches.push(watch);
      }
    } catch (error) {
      if (!this.closed && (await this.isThere()))
        log.warn({ cgroup: this.folder, err: messageOf(error) }, "cannot watch a container's cgroup limits");
    }
  }

  private lookSoon(): void {
    if (this.closed || this.timer !== undefined) return;
    const delayMs = Math.max(settleMs, this.lastWriteMs + againMs - performance.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.restore();
    }, delayMs).unref();
  }

  /** Writes again what is not as it was written. Never throws. */
  private async restore(): Promise<void> {
    const { host, log } = this.context;
    const changed: string[] = [];
    try {
      for (const [file, { value, shown }] of this.written) {
        const now = await host.files.read(posix.join(this.folder, file));
        if (this.closed) return;
        if (now.toString("utf8") === shown) continue;
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
