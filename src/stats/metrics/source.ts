import type { DockerContainer } from "../../docker/index.js";
import type { Disk } from "../../images/index.js";
import type { CgroupPlaces, CpuDetail, MemoryDetail } from "../cgroup/index.js";
import type { CgroupUsage, InterfaceUsage, LayerUsage } from "../usage.js";

/** The data for the metrics of a container or of a pod's cgroup. */
export interface CgroupSource {
  readonly usage: CgroupUsage;
  readonly places: CgroupPlaces;
  readonly cpu: CpuDetail;
  readonly memory: MemoryDetail;
  readonly createdAtNanos: bigint | undefined;
  readonly startedAtNanos: bigint | undefined;
  readonly nowNanos: bigint;
  readonly deviceName: (major: number, minor: number) => string;
  /** Only for containers. */
  readonly container?: ContainerSource;
}

export interface ContainerSource {
  readonly docker: DockerContainer;
  readonly openFiles: OpenFiles | undefined;
  /** The soft limit of open files of the first process; undefined without a limit. */
  readonly mostOpenFiles: bigint | undefined;
  readonly layer: LayerUsage | undefined;
  /** The file system of writable layers. */
  readonly disk: Disk | undefined;
  /** The device of that file system. */
  readonly diskDevice: string;
}

/** The open files of all processes of a container. */
export interface OpenFiles {
  readonly files: number;
  readonly sockets: number;
}

/** The data for the metrics of a pod's network. */
export interface NetworkSource {
  readonly interfaces: readonly InterfaceUsage[];
}
