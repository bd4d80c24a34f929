import type { Host } from "../host/index.js";
import type { ContainerRecord, SandboxRecord } from "../inventory/index.js";
import {
  parentPlacesOf,
  parseCgroupMounts,
  placesOf,
  type CgroupMounts,
  type CgroupPlaces,
} from "./cgroup/index.js";
import { parseInterfaces } from "./interfaces.js";
import type { InterfaceUsage } from "./usage.js";

interface Found {
  readonly own: CgroupPlaces;
  readonly parent: CgroupPlaces | undefined;
}

/** Finds the cgroups and namespaces of containers by their first process. */
export class Cgroups {
  /** A container that changes has a new record, so that what is found of its old process goes with the old one. */
  private readonly found = new WeakMap<ContainerRecord, Found>();
  private mounted: CgroupMounts | undefined;

  constructor(private readonly host: Host) {}

  /** Where a running container is accounted; undefined when its process has gone, or its cgroup cannot be seen here. */
  of(record: ContainerRecord): CgroupPlaces | undefined {
    return this.find(record)?.own;
  }

  /**
   * Where the whole pod of a running sandbox is accounted, in the cgroup that the caller named for it.
   * @returns Undefined as for {@link of}, and for a pod whose containers are among those of others.
   */
  ofPod(record: SandboxRecord): CgroupPlaces | undefined {
    return record.docker.host.cgroupParent ? this.find(record)?.parent : undefined;
  }

  /** The interfaces of the network namespace of a running sandbox; undefined when its process has gone. */
  interfacesOf(record: SandboxRecord): InterfaceUsage[] | undefined {
    const { pid } = record.docker.state;
    if (pid === undefined) return undefined;
    const text = this.host.kernel.readNow(`/proc/${pid}/net/dev`);
    // Looked at afterwards: another process may have taken over the pid.
    const isSame = this.host.kernel.readNow(`/proc/${pid}/cgroup`)?.includes(record.id);
    return text !== undefined && isSame ? parseInterfaces(text) : undefined;
  }

  private find(record: ContainerRecord): Found | undefined {
    const { pid } = record.docker.state;
    if (pid === undefined || !record.docker.state.running) return undefined;
    const known = this.found.get(record);
    if (known) return known;
    const text = this.host.kernel.readNow(`/proc/${pid}/cgroup`) ?? "";
    const mounts = this.mounts();
    const own = placesOf(text, record.id, mounts);
    if (!own) return undefined;
    const found = { own, parent: parentPlacesOf(text, record.id, mounts) };
    this.found.set(record, found);
    return found;
  }

  private mounts(): CgroupMounts {
    this.mounted ??= parseCgroupMounts(this.host.kernel.readNow("/proc/self/mountinfo") ?? "");
    return this.mounted;
  }
}
