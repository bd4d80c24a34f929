import { messageOf, type Logger } from "../base/index.js";
import type { DockerContainer } from "../docker/index.js";
import type { HostKernel, HostOomLog } from "../host/index.js";

const sigkillCode = 137;
/** The kernel's own log holds far fewer. */
const mostRemembered = 4096;
/** Docker records a start at most this long after the process has begun to run. */
const startNotedLateNanos = 5_000_000_000n;

/**
 * The out-of-memory kills in the kernel's log. Docker learns of a kill from the container's cgroup, and when
 * the kill ends the first process, the cgroup may be gone before Docker has read it.
 */
export class OomKills {
  /** The time of the last kill in each container, by the container's id; oldest kill first. */
  private readonly lastKills = new Map<string, bigint>();
  private opened: Promise<HostOomLog | undefined> | undefined;
  private reading = Promise.resolve();

  constructor(
    private readonly kernel: HostKernel,
    private readonly log: Logger,
  ) {}

  /** Opens the kernel's log; returns at once. Without it Docker's answer is used, and a warning is logged. */
  start(): void {
    this.opened ??= this.kernel.openOomLog().catch((error: unknown) => {
      this.giveUp(error);
      return undefined;
    });
  }

  /** Closes the kernel's log. */
  async close(): Promise<void> {
    const kernelLog = await this.opened;
    this.opened = undefined;
    await this.reading;
    await kernelLog?.close();
  }

  /** Docker's answer, OOMKilled when the container ended by SIGKILL and the kernel says so. Never throws. */
  async correct(docker: DockerContainer): Promise<DockerContainer> {
    const { running, oomKilled, exitCode, startedAtNanos } = docker.state;
    if (running || oomKilled || exitCode !== sigkillCode || startedAtNanos === undefined) return docker;
    // In turn: a read that began before may have passed the end of the log already.
    await (this.reading = this.reading.then(() => this.read()));
    const killedAt = this.lastKills.get(docker.id);
    if (killedAt === undefined || killedAt + startNotedLateNanos < startedAtNanos) return docker;
    return { ...docker, state: { ...docker.state, oomKilled: true } };
  }

  private async read(): Promise<void> {
    try {
      for (const { cgroup, latestNanos } of (await (await this.opened)?.read()) ?? []) {
        const id = containerOf(cgroup);
        if (id !== undefined) this.remember(id, latestNanos);
      }
    } catch (error) {
      const kernelLog = this.opened;
      this.opened = undefined;
      this.giveUp(error);
      await (await kernelLog)?.close().catch(() => undefined);
    }
  }

  private remember(id: string, atNanos: bigint): void {
    this.lastKills.delete(id);
    this.lastKills.set(id, atNanos);
    const [oldest] = this.lastKills.keys();
    if (this.lastKills.size > mostRemembered && oldest !== undefined) this.lastKills.delete(oldest);
  }

  private giveUp(error: unknown): void {
    this.log.warn(
      { err: messageOf(error) },
      "cannot read the kernel's log (/dev/kmsg): a container whose first process ran out of memory may be shown as " +
        "Error instead of OOMKilled, where Docker misses it",
    );
  }
}

/** The innermost container of a cgroup: `/docker/ID`, `…/docker-ID.scope`, or a cgroup that it made itself. */
function containerOf(cgroup: string): string | undefined {
  return cgroup.match(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g)?.at(-1);
}
