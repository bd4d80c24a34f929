import { counter, gauge, type MetricDefinition, type MetricValue } from "./definition.js";
import type { Disk } from "../../images/index.js";
import type { CgroupSource, ContainerSource } from "./source.js";

/** A value of the file system of the writable layer. */
function ofDisk(value: (disk: Disk, container: ContainerSource) => Omit<MetricValue, "labels">) {
  return ({ container }: CgroupSource): MetricValue[] =>
    container?.disk ? [{ ...value(container.disk, container), labels: [container.diskDevice] }] : [];
}

function ofDevices(table: "bytes" | "operations", operation: "Read" | "Write") {
  return ({ usage, deviceName }: CgroupSource): MetricValue[] =>
    (usage.io?.devices ?? []).map((device) => ({
      value: device[table].get(operation),
      labels: [deviceName(device.major, device.minor)],
    }));
}

export const diskMetrics: readonly MetricDefinition<CgroupSource>[] = [
  {
    name: "container_fs_inodes_free",
    help: "Free inodes of the file system of the writable layer.",
    type: gauge,
    labels: ["device"],
    values: ofDisk(({ usage }) => ({ value: usage.totalInodes - usage.usedInodes })),
  },
  {
    name: "container_fs_inodes_total",
    help: "Inodes of the file system of the writable layer.",
    type: gauge,
    labels: ["device"],
    values: ofDisk(({ usage }) => ({ value: usage.totalInodes })),
  },
  {
    name: "container_fs_limit_bytes",
    help: "Size of the file system of the writable layer, in bytes.",
    type: gauge,
    labels: ["device"],
    values: ofDisk(({ usage }) => ({ value: usage.totalBytes })),
  },
  {
    name: "container_fs_usage_bytes",
    help: "Size of the writable layer, in bytes.",
    type: gauge,
    labels: ["device"],
    values: ofDisk((_, { layer }) => ({
      value: layer?.usedBytes,
      ...(layer && { measuredAtNanos: layer.readAtNanos }),
    })),
  },
  {
    name: "container_fs_reads_bytes_total",
    help: "Bytes read from a block device.",
    type: counter,
    labels: ["device"],
    values: ofDevices("bytes", "Read"),
  },
  {
    name: "container_fs_reads_total",
    help: "Reads from a block device.",
    type: counter,
    labels: ["device"],
    values: ofDevices("operations", "Read"),
  },
  {
    name: "container_fs_writes_bytes_total",
    help: "Bytes written to a block device.",
    type: counter,
    labels: ["device"],
    values: ofDevices("bytes", "Write"),
  },
  {
    name: "container_fs_writes_total",
    help: "Writes to a block device.",
    type: counter,
    labels: ["device"],
    values: ofDevices("operations", "Write"),
  },
  {
    name: "container_blkio_device_usage_total",
    help: "Bytes read from and written to a block device, by operation.",
    type: counter,
    labels: ["device", "major", "minor", "operation"],
    values: ({ usage, deviceName }) =>
      (usage.io?.devices ?? []).flatMap(({ major, minor, bytes }) =>
        [...bytes].map(([operation, value]) => ({
          value,
          labels: [deviceName(major, minor), String(major), String(minor), operation],
        })),
      ),
  },
];
