import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { deepFreeze } from "../base/index.js";
import {
  ContainerAttributesSchema,
  ContainerStatsSchema,
  PodSandboxAttributesSchema,
  PodSandboxStatsSchema,
  type ContainerAttributes,
  type ContainerStats,
  type NetworkInterfaceUsageSchema,
  type PodSandboxAttributes,
  type PodSandboxStats,
  type PsiStatsSchema,
} from "../gen/runtime/v1/api_pb.js";
import type { SandboxRecord, WorkloadRecord } from "../inventory/index.js";
import type { MeasuredContainer, MeasuredPod } from "./measured.js";
import type { CgroupUsage, InterfaceUsage, LayerUsage, NetworkUsage, Pressure, Stall } from "./usage.js";

/** CRI's messages for the resource use of containers and pods. */
export class UsageMessages {
  private readonly attributes = new WeakMap<WorkloadRecord, ContainerAttributes>();
  private readonly podAttributes = new WeakMap<SandboxRecord, PodSandboxAttributes>();

  container({ record, usage, layer }: MeasuredContainer): ContainerStats {
    return create(ContainerStatsSchema, {
      attributes: this.attributesOf(record),
      ...cpuAndMemory(usage),
      ...(usage.swap && {
        swap: {
          timestamp: usage.swap.readAtNanos,
          ...figure("swapUsageBytes", usage.swap.usageBytes),
          ...figure("swapAvailableBytes", usage.swap.availableBytes),
        },
      }),
      ...(layer && { writableLayer: layerOf(layer) }),
    });
  }

  pod({ record, usage, network, containers }: MeasuredPod): PodSandboxStats {
    const { processes } = usage;
    return create(PodSandboxStatsSchema, {
      attributes: this.attributesOfPod(record),
      linux: {
        ...cpuAndMemory(usage),
        ...(network && { network: networkOf(network) }),
        ...(processes && {
          process: { timestamp: processes.readAtNanos, processCount: { value: processes.processes } },
        }),
        containers: containers.map((container) => this.container(container)),
      },
    });
  }

  private attributesOf(record: WorkloadRecord): ContainerAttributes {
    const known = this.attributes.get(record);
    if (known) return known;
    const { id, container: metadata, labels, annotations } = record;
    const made = deepFreeze(
      create(ContainerAttributesSchema, {
        id,
        metadata,
        labels: { ...labels },
        annotations: { ...annotations },
      }),
    );
    this.attributes.set(record, made);
    return made;
  }

  private attributesOfPod(record: SandboxRecord): PodSandboxAttributes {
    const known = this.podAttributes.get(record);
    if (known) return known;
    const { id, pod: metadata, labels, annotations } = record;
    const made = deepFreeze(
      create(PodSandboxAttributesSchema, {
        id,
        metadata,
        labels: { ...labels },
        annotations: { ...annotations },
      }),
    );
    this.podAttributes.set(record, made);
    return made;
  }
}

/** The common part of the messages of containers and pods. */
function cpuAndMemory({ cpu, memory, io }: CgroupUsage) {
  return {
    ...(cpu && {
      cpu: {
        timestamp: cpu.readAtNanos,
        ...figure("usageCoreNanoSeconds", cpu.usageCoreNanos),
        ...figure("usageNanoCores", cpu.usageNanoCores),
        ...pressureOf(cpu.pressure),
      },
    }),
    ...(memory && {
      memory: {
        timestamp: memory.readAtNanos,
        ...figure("workingSetBytes", memory.workingSetBytes),
        ...figure("availableBytes", memory.availableBytes),
        ...figure("usageBytes", memory.usageBytes),
        ...figure("rssBytes", memory.rssBytes),
        ...figure("pageFaults", memory.pageFaults),
        ...figure("majorPageFaults", memory.majorPageFaults),
        ...pressureOf(memory.pressure),
      },
    }),
    // CRI has no other field for block devices.
    ...(io?.pressure && { io: { timestamp: io.readAtNanos, ...pressureOf(io.pressure) } }),
  };
}

function figure<Name extends string>(name: Name, value: bigint | undefined) {
  return (value === undefined ? {} : { [name]: { value } }) as { [key in Name]?: { value: bigint } };
}

function pressureOf(pressure: Pressure | undefined): { psi?: MessageInitShape<typeof PsiStatsSchema> } {
  if (!pressure) return {};
  const { some, full } = pressure;
  return { psi: { Some: stallOf(some), ...(full && { Full: stallOf(full) }) } };
}

function stallOf({ totalNanos, avg10, avg60, avg300 }: Stall) {
  return { Total: totalNanos, Avg10: avg10, Avg60: avg60, Avg300: avg300 };
}

function networkOf({ readAtNanos, interfaces }: NetworkUsage) {
  const [first, ...others] = interfaces.map(interfaceOf);
  return { timestamp: readAtNanos, ...(first && { defaultInterface: first }), interfaces: others };
}

function interfaceOf(usage: InterfaceUsage): MessageInitShape<typeof NetworkInterfaceUsageSchema> {
  return {
    name: usage.name,
    rxBytes: { value: usage.receivedBytes },
    rxErrors: { value: usage.receiveErrors },
    txBytes: { value: usage.sentBytes },
    txErrors: { value: usage.sendErrors },
  };
}

function layerOf({ readAtNanos, mountPoint, usedBytes, inodes }: LayerUsage) {
  return {
    timestamp: readAtNanos,
    fsId: { mountpoint: mountPoint },
    usedBytes: { value: usedBytes },
    inodesUsed: { value: inodes },
  };
}
