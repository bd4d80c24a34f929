import { dirname, join } from "node:path";
import { nowNanos } from "../../base/index.js";
import type { DockerContainer, LogFrame } from "../../docker/index.js";
import type { Host } from "../../host/index.js";

/** No engine logs more in a second. */
const mostBytesPerSecond = 500_000_000;
/** The driver local rotates at this size when nobody says otherwise. */
const localMaxSizeBytes = 20_000_000;
/** An entry that comes so much later than others may have waited in files that were rotated away. */
const lateMs = 1_000;

export interface RotationWatchOptions {
  /** Docker's description of the container: of it what stays as it is. */
  readonly describe: () => Promise<DockerContainer>;
  readonly host: Pick<Host, "logFiles">;
}

/**
 * Notices when a follow may have gone wrong over a rotation of Docker's log. A reader that falls back by two
 * rotations is let go on with the newest file, and nobody tells; engines before 23 now and then begin the newest
 * file once more. But a file takes time to fill: between entries that follow on one another more closely none
 * is missing. And what comes again is older than what came last. Where it is not so, Docker's folder shows
 * whether there was a rotation.
 */
export class RotationWatch {
  /** The file that the last rotation has made, and that file packed; undefined where they cannot be seen. */
  private rotated: readonly string[] | undefined;
  /** What a file takes to fill; undefined when Docker never rotates. */
  private leastGapNanos: bigint | undefined;
  private isKnown = false;
  private version: string | undefined;
  private lastNanos: bigint | undefined;
  private leastLagMs = Infinity;

  constructor(private readonly options: RotationWatchOptions) {}

  /** Takes note of how things are, before a follow. */
  async begin(): Promise<void> {
    this.lastNanos = undefined;
    this.leastLagMs = Infinity;
    if (!this.isKnown) await this.learn();
    this.version = await this.rotatedVersion();
  }

  /** True when entries may be missing before this one, or it may have come before; each is to be shown. */
  isSuspect(frame: LogFrame): boolean {
    const before = this.lastNanos;
    const now = frame.timestampNanos;
    this.lastNanos = now;
    if (before === undefined || this.leastGapNanos === undefined) return false;
    return now <= before || now - before >= this.leastGapNanos;
  }

  /** True when Docker has rotated its log since {@link begin}; false also where that cannot be seen. */
  async hasRotated(): Promise<boolean> {
    return this.rotated !== undefined && (await this.rotatedVersion()) !== this.version;
  }

  /** True when an entry is not to be trusted. */
  async isAmiss(frame: LogFrame): Promise<boolean> {
    if (this.rotated) return this.hasRotated();
    const lagMs = Number(nowNanos() - frame.timestampNanos) / 1e6;
    // The clock of an engine elsewhere may differ from ours: only a lag that grows counts.
    this.leastLagMs = Math.min(this.leastLagMs, lagMs);
    return lagMs - this.leastLagMs > lateMs;
  }

  private async learn(): Promise<void> {
    const { describe, host } = this.options;
    const container = await describe();
    const maxSizeBytes = maxSizeOf(container);
    if (maxSizeBytes !== undefined) {
      this.leastGapNanos = BigInt(Math.ceil((maxSizeBytes / mostBytesPerSecond) * 1e9));
    }
    const path = pathOf(container);
    if (path !== undefined && (await host.logFiles.versionOf(path)) !== undefined) {
      this.rotated = [`${path}.1`, `${path}.1.gz`];
    }
    this.isKnown = true;
  }

  private async rotatedVersion(): Promise<string> {
    const { logFiles } = this.options.host;
    const versions = await Promise.all((this.rotated ?? []).map((path) => logFiles.versionOf(path)));
    return versions.join(" ");
  }
}

/** Docker's own file of the log, where it has one. */
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
  // What cannot be read itself, Docker keeps once more, as the driver local does.
  return driver === undefined || driver === "json-file" || driver === "journald"
    ? undefined
    : localMaxSizeBytes;
}
