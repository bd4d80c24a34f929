import { setImmediate as turn } from "node:timers/promises";
import { sleep, type Logger } from "../base/index.js";
import type { Host } from "../host/index.js";
import type { ContainerRecord, Inventory } from "../inventory/index.js";
import { readCpuNanos, type CgroupPlaces } from "./cgroup/index.js";
import type { Cgroups } from "./cgroups.js";
import { CpuRates } from "./cpu-rates.js";
import type { CpuReading } from "./measure.js";
import { isRunning } from "./running.js";

const intervalMs = 10_000;
/** The delay of the second round, so that the first caller gets rates of containers that are older than the shim. */
const secondRoundMs = 1_000;
/** How many are read in one turn of the event loop. */
const readsPerTurn = 50;

/** Samples the CPU time of every container and pod periodically. */
export class CpuSampler {
  private readonly rates = new CpuRates();
  private readonly closed = new AbortController();
  private warm: Promise<void> | undefined;

  constructor(
    private readonly host: Host,
    private readonly inventory: Inventory,
    private readonly cgroups: Cgroups,
    private readonly log: Logger,
  ) {}

  /** Starts sampling; returns at once. */
  start(): void {
    this.warm = this.warmUp();
    void this.warm.then(() => this.goOn());
  }

  /** Resolves once there are rates for all running containers: about a second after the first sync. */
  async whenWarm(): Promise<void> {
    await this.warm;
  }

  close(): void {
    this.closed.abort();
  }

  /** The rate in billionths of a core. @param places The cgroup of `record`'s container or pod. */
  rate(record: ContainerRecord, places: CgroupPlaces, reading: CpuReading): bigint | undefined {
    const { startedAtNanos } = record.docker.state;
    const ageMs =
      startedAtNanos === undefined ? undefined : Number(reading.readAtNanos - startedAtNanos) / 1e6;
    const startedAtMs = ageMs === undefined || ageMs < 0 ? undefined : reading.atMs - ageMs;
    return this.rates.rate(keyOf(record, places), reading, startedAtMs);
  }

  private async warmUp(): Promise<void> {
    const { signal } = this.closed;
    try {
      await this.inventory.whenReady({ signal });
      await this.round();
      await sleep(secondRoundMs, signal);
      await this.round();
    } catch (error) {
      this.report(error);
    }
  }

  private async goOn(): Promise<void> {
    const { signal } = this.closed;
    while (!signal.aborted) {
      try {
        await sleep(intervalMs, signal);
        await this.round();
      } catch (error) {
        this.report(error);
      }
    }
  }

  private async round(): Promise<void> {
    const { host, inventory, cgroups } = this;
    const seen = new Set<string>();
    let read = 0;
    for (const record of [...inventory.workloads(), ...inventory.sandboxes()]) {
      if (!isRunning(record)) continue;
      const places = record.kind === "sandbox" ? cgroups.ofPod(record) : cgroups.of(record);
      if (!places?.cpu) continue;
      const usageCoreNanos = readCpuNanos((path) => host.kernel.readNow(path), places.cpu);
      if (usageCoreNanos === undefined) continue;
      const key = keyOf(record, places);
      seen.add(key);
      this.rates.add(key, { atMs: performance.now(), usageCoreNanos });
      if (++read % readsPerTurn === 0) await turn();
    }
    this.rates.keepOnly(seen);
  }

  private report(error: unknown): void {
    if (!this.closed.signal.aborted)
      this.log.warn({ err: error }, "could not sample the CPU time of containers");
  }
}

/** The key of a counter: a pod's cgroup outlives its sandbox, but a restarted container has a new one. */
function keyOf(record: ContainerRecord, { path }: CgroupPlaces): string {
  return record.kind === "sandbox" ? path : `${record.id} ${record.docker.state.pid ?? 0}`;
}
