/**
 * What containers and pods use, as the kernel counts it. A figure that is not known is absent, never 0. Times of reading
 * are nanoseconds since the Unix epoch; counters run since the start and only grow.
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
  /** The usage without the file cache that has not been used lately: what cannot be dropped at once. */
  readonly workingSetBytes: bigint;
  readonly limitBytes?: bigint;
  /** What the limit leaves beside the working set; absent without a limit. */
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
  /** What the limit leaves; absent without a limit. */
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
  /** While at least one waited. */
  readonly some: Stall;
  /** While all waited at once. */
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

/** The writable layer of a container, as it was measured last. */
export interface LayerUsage {
  /** When the measuring began. */
  readonly readAtNanos: bigint;
  /** The mount point of the file system that it lies on. */
  readonly mountPoint: string;
  readonly usedBytes: bigint;
  readonly inodes: bigint;
}

/** What one cgroup uses. */
export interface CgroupUsage {
  readonly cpu?: CpuUsage;
  readonly memory?: MemoryUsage;
  readonly swap?: SwapUsage;
  readonly io?: IoUsage;
  readonly processes?: ProcessUsage;
}

/** What went through the network namespace of a pod. */
export interface NetworkUsage {
  readonly readAtNanos: bigint;
  /** All but the loopback; the one with the pod's address comes first. */
  readonly interfaces: readonly InterfaceUsage[];
}

/** The identity of a pod in Kubernetes. */
export interface PodName {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}

/** What a running container uses. */
export interface ContainerUsage extends CgroupUsage {
  readonly id: string;
  readonly sandboxId: string;
  readonly name: string;
  readonly pod: PodName;
  readonly labels: Readonly<Record<string, string>>;
  readonly writableLayer?: LayerUsage;
}

/** What a running pod uses, as a whole and container by container. */
export interface PodUsage extends CgroupUsage {
  readonly id: string;
  readonly pod: PodName;
  readonly labels: Readonly<Record<string, string>>;
  /** Absent for a pod on the node's network. */
  readonly network?: NetworkUsage;
  readonly containers: readonly ContainerUsage[];
}

/** Whatever it names must hold; an id may be the beginning of one. */
export interface UsageFilter {
  readonly id?: string;
  readonly podSandboxId?: string;
  readonly labelSelector?: Readonly<Record<string, string>>;
}

/** What containers and pods use, as typed values: the same figures that CRI's messages carry, and more. */
export interface UsageReader {
  /** The running containers that pass the filter. One that ends meanwhile is left out. */
  containers(filter?: UsageFilter): Promise<ContainerUsage[]>;
  /** The running pods that pass the filter. */
  pods(filter?: Omit<UsageFilter, "podSandboxId">): Promise<PodUsage[]>;
  /**
   * The running pods at once, and then in an interval. A reader that is slow gets the next figures when it asks for them:
   * none are kept for it.
   * @param options.intervalMs From one reading to the next; 10 s by default.
   * @param options.signal Ends the iteration.
   * @throws ShimError "invalid-argument" for an interval of no length.
   */
  watch(options?: { readonly intervalMs?: number; readonly signal?: AbortSignal }): AsyncIterable<PodUsage[]>;
}
