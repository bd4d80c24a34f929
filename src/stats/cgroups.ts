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
  /** Keyed by record: a changed container has a new one, so that entries of its old process are dropped. */
  private readonly found = new WeakMap<ContainerRecord, Found>();
  private mounted: CgroupMounts | undefined;

  constructor(private readonly host: Host) {}

  /** The cgroup of a running container; undefined when its process has ended, or its cgroup is not visible here. */
  of(record: ContainerRecord): CgroupPlaces | undefined {
    return this.find(record)?.own;
  }

  /**
   * The cgroup of the whole pod of a running sandbox, which the caller named in the request.
   * @returns Undefined as for {@link of}, and for a pod without its own cgroup.
   */
  ofPod(record: SandboxRecord): CgroupPlaces | undefined {
    return record.docker.host.cgroupParent ? this.find(record)?.parent : undefined;
  }

  /** The interfaces of the network namespace of a running sandbox; undefined when its process has ended. */
  interfacesOf(record: SandboxRecord): InterfaceUsage[] | undefined {
    const { pid } = record.docker.state;
    if (pid === undefined) return undefined;
    const text = this.host.kernel.readNow(`/proc/${pid}/net/dev`);
    // Checked afterwards: another process may have reused the pid.
    const isSame = this.host.kernel.readNow(`/proc/${pid}/cgroup`)?.includes(record.id);
    return text !== undefined && isSame ? parseInterfaces(text) : undefined;
  }

  private find(record: ContainerRecord): Found | undefined {
    const { pid } = record.docker.state;
    if (pid === undefined || !record.docker.state.running) return undefined;
    const known = this.found.get(record);
    if (known) return known;
    const path = `/proc/${pid}/cgroup`;
    const text = this.host.kernel.readNow(path) ?? "";
    // An exiting process is in the root of each v1 hierarchy: the lines before its exit would be all that is found.
    if (this.host.kernel.readNow(path) !== text) return undefined;
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
