import { create } from "@bufbuild/protobuf";
import { nowNanos } from "../../base/index.js";
import {
  MetricSchema,
  PodSandboxMetricsSchema,
  type Metric,
  type PodSandboxMetrics,
} from "../../gen/runtime/v1/api_pb.js";
import type { Host } from "../../host/index.js";
import type { Disk } from "../../images/index.js";
import type { ContainerRecord, Inventory } from "../../inventory/index.js";
import { imageSpecOf } from "../../translate/index.js";
import { readCpuDetail, readMemoryDetail, uint64, type CgroupPlaces } from "../cgroup/index.js";
import type { MeasuredContainer, MeasuredPod } from "../measured.js";
import { DeviceNames } from "./device-names.js";
import type { MetricDefinition } from "./definition.js";
import { mostOpenFilesOf, openFilesOf } from "./open-files.js";
import type { CgroupSource, ContainerSource } from "./source.js";
import { cgroupMetrics, podNetworkMetrics } from "./table.js";

/** The container name of sandboxes, with which cAdvisor publishes a pod's network. */
const sandboxName = "POD";

type MeasuredCgroup = Pick<MeasuredContainer, "usage" | "memoryStat"> & { readonly places: CgroupPlaces };

/** Metrics of pods and containers, from the measured usage and additional values. */
export class PodMetrics {
  private readonly devices: DeviceNames;

  constructor(
    private readonly host: Host,
    private readonly inventory: Inventory,
  ) {
    this.devices = new DeviceNames(host.kernel);
  }

  /**
   * The metrics of one pod: of its cgroup and its network, and of each container.
   * @param disk The file system of writable layers, if known.
   */
  of(pod: MeasuredPod, disk: Disk | undefined): PodSandboxMetrics {
    const { record, places, network, containers } = pod;
    const ofPod = ["", places?.path ?? "", "", "", record.pod.namespace, record.pod.name];
    return create(PodSandboxMetricsSchema, {
      podSandboxId: record.id,
      metrics: [
        ...(places ? valuesOf(cgroupMetrics, this.source(record, { ...pod, places }), ofPod) : []),
        ...(network
          ? valuesOf(podNetworkMetrics, network, this.labels(record, sandboxName, pod.ownPath))
          : []),
      ],
      containerMetrics: containers.flatMap((container) => {
        const { places: own, record: ofContainer } = container;
        if (!own) return [];
        const labels = this.labels(ofContainer, ofContainer.container.name, own.path);
        const source = this.source(
          ofContainer,
          { ...container, places: own },
          this.container(container, disk),
        );
        return [{ containerId: ofContainer.id, metrics: valuesOf(cgroupMetrics, source, labels) }];
      }),
    });
  }

  private labels(record: ContainerRecord, container: string, path: string): string[] {
    const { docker, pod } = record;
    const image = docker.imageId === undefined ? undefined : this.inventory.images.get(docker.imageId);
    const spec = imageSpecOf(docker, image, {
      image: record.kind === "container" ? record.image : undefined,
    });
    const name = spec.userSpecifiedImage || spec.image;
    return [container, path, name, docker.name, pod.namespace, pod.name];
  }

  private source(record: ContainerRecord, cgroup: MeasuredCgroup, container?: ContainerSource): CgroupSource {
    const read = (path: string) => this.host.kernel.readNow(path);
    const { places, usage, memoryStat } = cgroup;
    return {
      usage,
      places,
      cpu: readCpuDetail(read, places),
      memory: places.memory ? readMemoryDetail(read, places.memory, memoryStat) : {},
      createdAtNanos: record.docker.createdAtNanos,
      startedAtNanos: record.docker.state.startedAtNanos,
      nowNanos: nowNanos(),
      deviceName: (major, minor) => this.devices.of(major, minor),
      ...(container && { container }),
    };
  }

  private container({ record, places, layer }: MeasuredContainer, disk: Disk | undefined): ContainerSource {
    const { kernel } = this.host;
    return {
      docker: record.docker,
      openFiles: places && openFilesOf(kernel, places),
      mostOpenFiles: mostOpenFilesOf(kernel, record),
      layer,
      disk,
      diskDevice: disk ? this.devices.at(disk.mountPoint) : "",
    };
  }
}

/** The known values of all metrics, with their labels. */
function valuesOf<Source>(
  metrics: readonly MetricDefinition<Source>[],
  source: Source,
  labels: readonly string[],
): Metric[] {
  return metrics.flatMap(({ name, type, values }) =>
    values(source).flatMap(({ value, labels: own = [], measuredAtNanos = 0n }) =>
      value === undefined || uint64(value) === undefined
        ? []
        : create(MetricSchema, {
            name,
            metricType: type,
            labelValues: [...labels, ...own],
            value: { value },
            timestamp: measuredAtNanos,
          }),
    ),
  );
}
