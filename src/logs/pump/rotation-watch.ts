import { dirname, join } from "node:path";
import { nowNanos } from "../../base/index.js";
import type { DockerContainer, LogFrame } from "../../docker/index.js";
import type { HostLogFiles } from "../../host/index.js";
import type { DockerLog } from "./docker-log.js";

/** An upper bound of what an engine logs. */
const mostBytesPerSecond = 500_000_000;
/** The default of the driver local. */
const localMaxSizeBytes = 20_000_000;
/** An entry whose lag is this much longer than that of others may follow entries that were rotated away. */
const lateMs = 1_000;

/**
 * Detects that a follow may have skipped or repeated entries at a rotation of Docker's log. A follower that falls two
 * rotations behind continues in the newest file without an error; engines before 23 sometimes read the newest file
 * twice. A file takes time to fill, so no entry is missing between two that are closer than that, and a repeated entry
 * is older than the one before it. In all other cases Docker's folder shows whether there was a rotation.
 */
export class RotationWatch {
  /** The paths of the newest rotated file, plain and compressed; undefined where they are not on this node. */
  private rotated: readonly string[] | undefined;
  /** The shortest time in which a file fills; undefined when Docker never rotates. */
  private fillNanos: bigint | undefined;
  private isKnown = false;
  private version: string | undefined;
  private lastNanos: bigint | undefined;
  private leastLagMs = Infinity;

  constructor(
    private readonly source: DockerLog,
    private readonly logFiles: Pick<HostLogFiles, "versionOf">,
  ) {}

  /** Records the present state, before a follow. */
  async begin(): Promise<void> {
    this.lastNanos = undefined;
    this.leastLagMs = Infinity;
    if (!this.isKnown) await this.learn();
    this.version = await this.rotatedVersion();
  }

  /** True when entries may be missing before this one, or it may be a repetition. To be called for each entry. */
  isSuspect(frame: LogFrame): boolean {
    const before = this.lastNanos;
    const now = frame.timestampNanos;
    this.lastNanos = now;
    if (before === undefined || this.fillNanos === undefined) return false;
    return now <= before || now - before >= this.fillNanos;
  }

  /** True when Docker has rotated its log since {@link begin}; false also where its files are not on this node. */
  async hasRotated(): Promise<boolean> {
    return this.rotated !== undefined && (await this.rotatedVersion()) !== this.version;
  }

  /** True when a suspect entry came after a rotation. */
  async isAfterRotation(frame: LogFrame): Promise<boolean> {
    if (this.rotated) return this.hasRotated();
    const lagMs = Number(nowNanos() - frame.timestampNanos) / 1e6;
    // The clock of a remote engine may differ: only a lag that grows counts.
    this.leastLagMs = Math.min(this.leastLagMs, lagMs);
    return lagMs - this.leastLagMs > lateMs;
  }

  private async learn(): Promise<void> {
    const container = await this.source.container();
    const maxSizeBytes = maxSizeOf(container);
    if (maxSizeBytes !== undefined) {
      this.fillNanos = BigInt(Math.ceil((maxSizeBytes / mostBytesPerSecond) * 1e9));
    }
    const path = pathOf(container);
    if (path !== undefined && (await this.logFiles.versionOf(path)) !== undefined) {
      this.rotated = [`${path}.1`, `${path}.1.gz`];
    }
    this.isKnown = true;
  }

  private async rotatedVersion(): Promise<string> {
    const versions = await Promise.all((this.rotated ?? []).map((path) => this.logFiles.versionOf(path)));
    return versions.join(" ");
  }
}

/** Docker's own log file, where its driver has one. */
function pathOf({ logPath, resolvConfPath, host }: DockerContainer): string | undefined {
  if (logPath !== undefined && logPath !== "") return logPath;
  if (host.logConfig?.driver !== "local" || !resolvConfPath) return undefined;
  return join(dirname(resolvConfPath), "local-logs", "container.log");
}

/** The size at which Docker rotates; undefined when it does not. */
function maxSizeOf({ host }: DockerContainer): number | undefined {
  const { driver, options } = host.logConfig ?? {};
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?$/i.exec(options?.["max-size"] ?? "");
  if (match) return Number(match[1]) * 1000 ** " kmgtp".indexOf(match[2]?.toLowerCase() ?? "", 1);
  // Docker keeps a copy for drivers that cannot be read, in the format of the driver local.
  return driver === undefined || driver === "json-file" || driver === "journald"
    ? undefined
    : localMaxSizeBytes;
}
