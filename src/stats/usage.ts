/**
 * The resource use of containers and pods, as the kernel counts it. An unknown value is absent, never 0. Times are
 * nanoseconds since the Unix epoch; counters start with the container and only grow.
 */

/** CPU time, in nanoseconds of one core. */
export interface CpuUsage {
  readonly readAtNanos: bigint;
  readonly usageCoreNanos: bigint;
  /** Billionths of a core over the last ten seconds or so, or since the start of a younger container. */
  readonly usageNanoCores?: bigint;
  readonly pressure?: Pressure;
}

export interface MemoryUsage {
  readonly readAtNanos: bigint;
  /** All memory charged, caches included. */
  readonly usageBytes: bigint;
  /** The usage without the inactive file cache: the memory that cannot be reclaimed at once. */
  readonly workingSetBytes: bigint;
  readonly limitBytes?: bigint;
  /** The limit minus the working set; absent without a limit. */
  readonly availableBytes?: bigint;
  /** Anonymous memory. */
  readonly rssBytes?: bigint;
  readonly pageFaults?: bigint;
  /** Page faults that read from disk. */
  readonly majorPageFaults?: bigint;
  readonly pressure?: Pressure;
}

export interface SwapUsage {
  readonly readAtNanos: bigint;
  readonly usageBytes: bigint;
  /** The unused part of the limit; absent without a limit. */
  readonly availableBytes?: bigint;
}

export interface IoUsage {
  readonly readAtNanos: bigint;
  readonly devices?: readonly DeviceIo[];
  readonly pressure?: Pressure;
}

/** The transfers of one block device, by operation: `Read`, `Write` and others that the kernel counts. */
export interface DeviceIo {
  readonly major: number;
  readonly minor: number;
  readonly bytes: ReadonlyMap<string, bigint>;
  readonly operations: ReadonlyMap<string, bigint>;
}

export interface ProcessUsage {
  readonly readAtNanos: bigint;
  readonly processes: bigint;
  readonly threads?: bigint;
  /** Absent without a limit. */
  readonly threadLimit?: bigint;
}

/** How long tasks waited for a resource. */
export interface Pressure {
  /** The time in which at least one task waited. */
  readonly some: Stall;
  /** The time in which all tasks waited. */
  readonly full?: Stall;
}

export interface Stall {
  readonly totalNanos: bigint;
  /** Percent of the last 10, 60 and 300 seconds. */
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
}

/** An interface of a network namespace. */
export interface InterfaceUsage {
  readonly name: string;
  readonly receivedBytes: bigint;
  readonly receivedPackets: bigint;
  readonly receiveErrors: bigint;
  readonly receiveDropped: bigint;
  readonly sentBytes: bigint;
  readonly sentPackets: bigint;
  readonly sendErrors: bigint;
  readonly sendDropped: bigint;
}

/** The last measured usage of a container's writable layer. */
export interface LayerUsage {
  /** The start of the measurement. */
  readonly readAtNanos: bigint;
  /** The mount point of its file system. */
  readonly mountPoint: string;
  readonly usedBytes: bigint;
  readonly inodes: bigint;
}

/** The usage of one cgroup. */
export interface CgroupUsage {
  readonly cpu?: CpuUsage;
  readonly memory?: MemoryUsage;
  readonly swap?: SwapUsage;
  readonly io?: IoUsage;
  readonly processes?: ProcessUsage;
}

/** The traffic of a pod's network namespace. */
export interface NetworkUsage {
  readonly readAtNanos: bigint;
  /** All but loopback; the one with the pod's address is first. */
  readonly interfaces: readonly InterfaceUsage[];
}

/** The identity of a pod in Kubernetes. */
export interface PodName {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}

/** The usage of a running container. */
export interface ContainerUsage extends CgroupUsage {
  readonly id: string;
  readonly sandboxId: string;
  readonly name: string;
  readonly pod: PodName;
  readonly labels: Readonly<Record<string, string>>;
  readonly writableLayer?: LayerUsage;
}

/** The usage of a running pod, as a whole and by container. */
export interface PodUsage extends CgroupUsage {
  readonly id: string;
  readonly pod: PodName;
  readonly labels: Readonly<Record<string, string>>;
  /** Absent for a pod on the node's network. */
  readonly network?: NetworkUsage;
  readonly containers: readonly ContainerUsage[];
}

/** All given fields must match; an id may be a prefix. */
export interface UsageFilter {
  readonly id?: string;
  readonly podSandboxId?: string;
  readonly labelSelector?: Readonly<Record<string, string>>;
}

/** The resource use of containers and pods: the values of CRI's messages, and more. */
export interface UsageReader {
  /** The running containers that match the filter. One that ends meanwhile is left out. */
  containers(filter?: UsageFilter): Promise<ContainerUsage[]>;
  /** The running pods that match the filter. */
  pods(filter?: Omit<UsageFilter, "podSandboxId">): Promise<PodUsage[]>;
  /**
   * The running pods, at once and then periodically. A slow reader gets the next values when it asks for them; none are
   * queued.
   * @param options.intervalMs The interval; 10 s by default.
   * @param options.signal Ends the iteration.
   * @throws ShimError "invalid-argument" for an interval that is not positive.
   */
  watch(options?: { readonly intervalMs?: number; readonly signal?: AbortSignal }): AsyncIterable<PodUsage[]>;
}
