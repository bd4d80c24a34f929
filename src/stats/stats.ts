import { setImmediate as turn } from "node:timers/promises";
import { inject, injectable } from "../base/injection.js";
import { Logger, nowNanos } from "../base/index.js";
import { hasLabels } from "../containers/index.js";
import type {
  ContainerStats,
  ContainerStatsFilter,
  MetricDescriptor,
  PodSandboxMetrics,
  PodSandboxStats,
  PodSandboxStatsFilter,
} from "../gen/runtime/v1/api_pb.js";
import { Host } from "../host/index.js";
import { Images } from "../images/index.js";
import { Inventory, type SandboxRecord, type WorkloadRecord } from "../inventory/index.js";
import { podInterface } from "../network/index.js";
import { Cgroups } from "./cgroups.js";
import { Measurer, type CpuReading, type Wanted } from "./measure.js";
import type { MeasuredContainer, MeasuredPod } from "./measured.js";
import { UsageMessages } from "./messages.js";
import { metricDescriptors, PodMetrics } from "./metrics/index.js";
import { WritableLayers } from "./layers.js";
import { isRunning, sharedCgroupParents } from "./running.js";
import { CpuSampler } from "./sampler.js";
import { sumOf } from "./sum.js";
import type { NetworkUsage } from "./usage.js";

/** How many are read in one turn of the event loop. */
const containersPerTurn = 25;
const podsPerTurn = 5;

type ContainerFilter = Pick<ContainerStatsFilter, "id" | "podSandboxId" | "labelSelector">;
type PodFilter = Pick<PodSandboxStatsFilter, "id" | "labelSelector">;

/** The resource use of containers and pods, read from the kernel without calls to Docker. */
@injectable()
export class Stats {
  private readonly cgroups: Cgroups;
  private readonly measurer: Measurer;
  private readonly sampler: CpuSampler;
  private readonly messages = new UsageMessages();
  private readonly metrics: PodMetrics;
  private readonly layers: WritableLayers;

  constructor(
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(Host) host: Host,
    @inject(Images) private readonly images: Images,
    @inject(Logger) log: Logger,
  ) {
    this.cgroups = new Cgroups(host);
    this.measurer = new Measurer(host);
    this.metrics = new PodMetrics(host, inventory);
    this.layers = new WritableLayers(host, inventory, images, log);
    this.sampler = new CpuSampler(host, inventory, this.cgroups, log);
  }

  /** Starts sampling; returns at once. */
  start(): void {
    this.sampler.start();
    this.layers.start();
  }

  /** Stops sampling; leaves no timer. */
  close(): void {
    this.sampler.close();
    this.layers.close();
  }

  /**
   * The resource use of one container. For a stopped one, only its writable layer.
   * @throws ShimError "not-found".
   */
  async containerStats(id: string): Promise<ContainerStats> {
    this.inventory.workload(id);
    await this.sampler.whenWarm();
    const record = this.inventory.workload(id);
    const measured = this.measureContainer(record, { everything: false });
    return this.messages.container(
      measured ?? { record, usage: {}, memoryStat: "", ...this.layerOf(record) },
    );
  }

  /** The resource use of the running containers that match the filter. One that ends meanwhile is left out. */
  async listContainerStats(filter?: ContainerFilter): Promise<ContainerStats[]> {
    const measured = await this.containers(filter, { everything: false });
    return measured.map((container) => this.messages.container(container));
  }

  /**
   * The resource use of one pod.
   * @throws ShimError "not-found".
   */
  async podStats(id: string): Promise<PodSandboxStats> {
    this.inventory.sandbox(id);
    await this.sampler.whenWarm();
    const record = this.inventory.sandbox(id);
    const measured = this.measurePod(record, sharedCgroupParents(this.inventory.sandboxes()));
    return this.messages.pod(measured ?? { record, ownPath: "", usage: {}, memoryStat: "", containers: [] });
  }

  /** The resource use of the running pods that match the filter. One that ends meanwhile is left out. */
  async listPodStats(filter?: PodFilter): Promise<PodSandboxStats[]> {
    const measured = await this.pods(filter);
    return measured.map((pod) => this.messages.pod(pod));
  }

  /** The descriptors of the metrics of {@link listPodMetrics}. */
  get metricDescriptors(): readonly MetricDescriptor[] {
    return metricDescriptors;
  }

  /** The metrics of all running pods and their containers. */
  async listPodMetrics(): Promise<PodSandboxMetrics[]> {
    const seen = new Set<string>();
    const pods = (await this.pods()).map((pod) => {
      // Two sandboxes of one pod share its cgroup, whose values must appear once.
      const { places, ...rest } = pod;
      const isFirst = places !== undefined && !seen.has(places.path);
      if (places) seen.add(places.path);
      return isFirst ? pod : rest;
    });
    const disk = await this.images.disk().catch(() => undefined);
    return await inTurns(pods, podsPerTurn, (pod) => this.metrics.of(pod, disk));
  }

  /** Measures the running containers that match the filter. */
  async containers(filter: ContainerFilter | undefined, wanted: Wanted): Promise<MeasuredContainer[]> {
    await this.settled();
    const records = this.inventory
      .workloads()
      .filter((record) => isRunning(record) && matches(record, filter));
    return await inTurns(records, containersPerTurn, (record) => this.measureContainer(record, wanted));
  }

  /** Measures the running pods that match the filter, with their containers. */
  async pods(filter?: PodFilter): Promise<MeasuredPod[]> {
    await this.settled();
    const sandboxes = this.inventory.sandboxes();
    const records = sandboxes.filter((record) => isRunning(record) && matchesPod(record, filter));
    const shared = sharedCgroupParents(sandboxes);
    return await inTurns(records, podsPerTurn, (record) => this.measurePod(record, shared));
  }

  /** Waits until there are rates. @throws ShimError "unavailable" before the first sync. */
  private async settled(): Promise<void> {
    this.inventory.assertReady();
    await this.sampler.whenWarm();
  }

  private measureContainer(record: WorkloadRecord, wanted: Wanted): MeasuredContainer | undefined {
    const places = this.cgroups.of(record);
    const measured =
      places &&
      this.measurer.measure(places, (reading) => this.sampler.rate(record, places, reading), wanted);
    return measured && { record, ...measured, ...this.layerOf(record) };
  }

  private layerOf(record: WorkloadRecord): Pick<MeasuredContainer, "layer"> {
    const layer = this.layers.of(record);
    return layer ? { layer } : {};
  }

  private measurePod(record: SandboxRecord, shared: ReadonlySet<string>): MeasuredPod | undefined {
    const everything = { everything: true };
    const containers = this.inventory
      .workloadsOf(record.id)
      .filter(isRunning)
      .flatMap((container) => this.measureContainer(container, everything) ?? []);
    const network = this.network(record);
    const own = this.cgroups.of(record);
    const rest = { record, ownPath: own?.path ?? "", containers, ...(network && { network }) };
    const places = shared.has(record.docker.host.cgroupParent ?? "") ? undefined : this.cgroups.ofPod(record);
    if (places) {
      const rate = (reading: CpuReading) => this.sampler.rate(record, places, reading);
      const measured = this.measurer.measure(places, rate, everything);
      return measured && { ...rest, ...measured };
    }
    const sandbox =
      own && this.measurer.measure(own, (reading) => this.sampler.rate(record, own, reading), everything);
    if (!sandbox) return undefined;
    return { ...rest, usage: sumOf([sandbox, ...containers].map(({ usage }) => usage)), memoryStat: "" };
  }

  private network(record: SandboxRecord): NetworkUsage | undefined {
    if (record.docker.host.networkMode === "host") return undefined;
    const interfaces = this.cgroups.interfacesOf(record);
    if (!interfaces?.length) return undefined;
    const main = interfaces.filter(({ name }) => name === podInterface);
    const others = interfaces.filter(({ name }) => name !== podInterface);
    return { readAtNanos: nowNanos(), interfaces: [...main, ...others] };
  }
}

/** Measures one after the other; those that no longer exist are left out. */
async function inTurns<Record, Measured>(
  records: readonly Record[],
  perTurn: number,
  measure: (record: Record) => Measured | undefined,
): Promise<Measured[]> {
  const found: Measured[] = [];
  for (const [index, record] of records.entries()) {
    if (index > 0 && index % perTurn === 0) await turn();
    const measured = measure(record);
    if (measured) found.push(measured);
  }
  return found;
}

/** CRI's filter: all its fields must match; an id may be a prefix. */
function matches(record: WorkloadRecord, filter: ContainerFilter | undefined): boolean {
  if (!filter) return true;
  return (
    record.id.startsWith(filter.id) &&
    record.sandboxId.startsWith(filter.podSandboxId) &&
    hasLabels(record.labels, filter.labelSelector)
  );
}

function matchesPod(record: SandboxRecord, filter: PodFilter | undefined): boolean {
  return !filter || (record.id.startsWith(filter.id) && hasLabels(record.labels, filter.labelSelector));
}
