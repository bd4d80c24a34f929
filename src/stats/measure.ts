import { nowNanos, present } from "../base/index.js";
import type { Host } from "../host/index.js";
import {
  readCpuNanos,
  readIo,
  readMemory,
  readPressure,
  readProcesses,
  type CgroupPlace,
  type CgroupPlaces,
} from "./cgroup/index.js";
import type { CpuSample } from "./cpu-rates.js";
import type { CgroupUsage, Pressure } from "./usage.js";

/** The values to read of a cgroup. */
export interface Wanted {
  /** Includes processes and block I/O. */
  readonly everything: boolean;
}

/** The usage of a cgroup, and the content of `memory.stat` for metrics. */
export interface Measured {
  readonly places: CgroupPlaces;
  readonly usage: CgroupUsage;
  readonly memoryStat: string;
}

/**
 * Whether a cgroup without a controller's files is being removed: the kernel removes those first, the cgroup's own
 * after them. Only on v2 can a cgroup be without them while it lives.
 */
function hasGone(read: (path: string) => string | undefined, { version, folder }: CgroupPlace): boolean {
  return version === 1 || !read(`${folder}/cgroup.events`)?.includes("populated 1");
}

/** A CPU time counter, with the time of its reading by both clocks. */
export interface CpuReading extends CpuSample {
  /** Since the Unix epoch. */
  readonly readAtNanos: bigint;
}

/** Reads the usage of cgroups. */
export class Measurer {
  private pressureKnown: boolean | undefined;

  constructor(private readonly host: Host) {}

  /**
   * @param rate Returns the rate in billionths of a core for a CPU time counter.
   * @returns Undefined when the cgroup no longer exists.
   */
  measure(
    places: CgroupPlaces,
    rate: (reading: CpuReading) => bigint | undefined,
    { everything }: Wanted,
  ): Measured | undefined {
    const { kernel } = this.host;
    const read = (path: string) => kernel.readNow(path);
    const readAtNanos = nowNanos();
    const atMs = performance.now();
    const usageCoreNanos = places.cpu && readCpuNanos(read, places.cpu);
    const memory = places.memory && readMemory(read, places.memory);
    if (places.cpu && usageCoreNanos === undefined && hasGone(read, places.cpu)) return undefined;
    if (places.memory && !memory && hasGone(read, places.memory)) return undefined;
    const io = this.io(places, everything);
    const processes = everything
      ? readProcesses({ read, folders: (path) => kernel.foldersNow(path) }, places)
      : undefined;
    const usage = present({
      cpu:
        usageCoreNanos === undefined
          ? undefined
          : present({
              readAtNanos,
              usageCoreNanos,
              usageNanoCores: rate({ atMs, readAtNanos, usageCoreNanos }),
              pressure: this.pressure(places, "cpu"),
            }),
      memory: memory && present({ readAtNanos, ...memory.memory, pressure: this.pressure(places, "memory") }),
      swap: memory?.swap && { readAtNanos, ...memory.swap },
      io: io && { readAtNanos, ...io },
      processes: processes && { readAtNanos, ...processes },
    });
    return { places, usage, memoryStat: memory?.stat ?? "" };
  }

  private io(
    places: CgroupPlaces,
    everything: boolean,
  ): Omit<NonNullable<CgroupUsage["io"]>, "readAtNanos"> | undefined {
    const pressure = this.pressure(places, "io");
    const devices =
      everything && places.io ? readIo((path) => this.host.kernel.readNow(path), places.io) : undefined;
    if (!pressure && !devices) return undefined;
    return present({ devices, pressure });
  }

  /** Cached: without support in the kernel no cgroup has the files. */
  private pressure({ unified }: CgroupPlaces, resource: "cpu" | "memory" | "io"): Pressure | undefined {
    this.pressureKnown ??= this.host.kernel.readNow("/proc/pressure/cpu") !== undefined;
    if (!this.pressureKnown) return undefined;
    return readPressure((path) => this.host.kernel.readNow(path), unified, resource);
  }
}
