import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { MetricType, type Metric } from "../../../src/gen/runtime/v1/api_pb.js";
import { statsLab } from "./lab.js";

/** As cAdvisor 0.60 publishes them for kubelet 1.37: the labels beside those that all have. */
const published: Readonly<Record<string, readonly [MetricType, ...string[]]>> = {
  container_last_seen: [MetricType.GAUGE],
  container_creation_time_seconds: [MetricType.GAUGE],
  container_start_time_seconds: [MetricType.GAUGE],
  container_spec_cpu_period: [MetricType.GAUGE],
  container_spec_cpu_quota: [MetricType.GAUGE],
  container_spec_cpu_shares: [MetricType.GAUGE],
  container_spec_memory_limit_bytes: [MetricType.GAUGE],
  container_spec_memory_reservation_limit_bytes: [MetricType.GAUGE],
  container_spec_memory_swap_limit_bytes: [MetricType.GAUGE],
  container_cpu_user_seconds_total: [MetricType.COUNTER],
  container_cpu_system_seconds_total: [MetricType.COUNTER],
  container_cpu_usage_seconds_total: [MetricType.COUNTER, "cpu"],
  container_cpu_cfs_periods_total: [MetricType.COUNTER],
  container_cpu_cfs_throttled_periods_total: [MetricType.COUNTER],
  container_cpu_cfs_throttled_seconds_total: [MetricType.COUNTER],
  container_cpu_cfs_burst_periods_total: [MetricType.COUNTER],
  container_cpu_cfs_burst_seconds_total: [MetricType.COUNTER],
  container_memory_cache: [MetricType.GAUGE],
  container_memory_rss: [MetricType.GAUGE],
  container_memory_kernel_usage: [MetricType.GAUGE],
  container_memory_mapped_file: [MetricType.GAUGE],
  container_memory_swap: [MetricType.GAUGE],
  container_memory_failcnt: [MetricType.COUNTER],
  container_memory_usage_bytes: [MetricType.GAUGE],
  container_memory_max_usage_bytes: [MetricType.GAUGE],
  container_memory_working_set_bytes: [MetricType.GAUGE],
  container_memory_total_active_file_bytes: [MetricType.GAUGE],
  container_memory_total_inactive_file_bytes: [MetricType.GAUGE],
  container_memory_failures_total: [MetricType.COUNTER, "failure_type", "scope"],
  container_memory_events_high_total: [MetricType.COUNTER],
  container_memory_events_max_total: [MetricType.COUNTER],
  container_memory_file_dirty_bytes: [MetricType.GAUGE],
  container_memory_file_writeback_bytes: [MetricType.GAUGE],
  container_memory_pgscan_total: [MetricType.COUNTER],
  container_memory_pgsteal_total: [MetricType.COUNTER],
  container_memory_workingset_refault_anon_total: [MetricType.COUNTER],
  container_memory_workingset_refault_file_total: [MetricType.COUNTER],
  container_oom_events_total: [MetricType.COUNTER],
  container_fs_inodes_free: [MetricType.GAUGE, "device"],
  container_fs_inodes_total: [MetricType.GAUGE, "device"],
  container_fs_limit_bytes: [MetricType.GAUGE, "device"],
  container_fs_usage_bytes: [MetricType.GAUGE, "device"],
  container_fs_reads_bytes_total: [MetricType.COUNTER, "device"],
  container_fs_reads_total: [MetricType.COUNTER, "device"],
  container_fs_writes_bytes_total: [MetricType.COUNTER, "device"],
  container_fs_writes_total: [MetricType.COUNTER, "device"],
  container_blkio_device_usage_total: [MetricType.COUNTER, "device", "major", "minor", "operation"],
  container_network_receive_bytes_total: [MetricType.COUNTER, "interface"],
  container_network_receive_packets_total: [MetricType.COUNTER, "interface"],
  container_network_receive_packets_dropped_total: [MetricType.COUNTER, "interface"],
  container_network_receive_errors_total: [MetricType.COUNTER, "interface"],
  container_network_transmit_bytes_total: [MetricType.COUNTER, "interface"],
  container_network_transmit_packets_total: [MetricType.COUNTER, "interface"],
  container_network_transmit_packets_dropped_total: [MetricType.COUNTER, "interface"],
  container_network_transmit_errors_total: [MetricType.COUNTER, "interface"],
  container_processes: [MetricType.GAUGE],
  container_file_descriptors: [MetricType.GAUGE],
  container_sockets: [MetricType.GAUGE],
  container_threads_max: [MetricType.GAUGE],
  container_threads: [MetricType.GAUGE],
  container_ulimits_soft: [MetricType.GAUGE, "ulimit"],
  container_pressure_cpu_stalled_seconds_total: [MetricType.COUNTER],
  container_pressure_cpu_waiting_seconds_total: [MetricType.COUNTER],
  container_pressure_memory_stalled_seconds_total: [MetricType.COUNTER],
  container_pressure_memory_waiting_seconds_total: [MetricType.COUNTER],
  container_pressure_io_stalled_seconds_total: [MetricType.COUNTER],
  container_pressure_io_waiting_seconds_total: [MetricType.COUNTER],
};
const base = ["container", "id", "image", "name", "namespace", "pod"];

describe("the metrics of pods", () => {
  it("have cAdvisor's names and labels, and are in the docs", async () => {
    await using lab = await statsLab();
    const { descriptors } = await lab.runtime.listMetricDescriptors({});
    const labels = Object.fromEntries(descriptors.map(({ name, labelKeys }) => [name, labelKeys]));
    const expected = Object.entries(published).map(([name, [, ...own]]) => [name, [...base, ...own]]);
    assert.deepEqual(labels, Object.fromEntries(expected));
    assert.equal(new Set(descriptors.map(({ name }) => name)).size, descriptors.length);
    const docs = readFileSync(join(import.meta.dirname, "../../../docs/metrics.md"), "utf8");
    const rows = [...docs.matchAll(/^\| `(container_\w+)` +\| (\w+) +\| ([^|]*?) *\| (.*?) *\|$/gm)];
    assert.deepEqual(
      rows.map(([, ...cells]) => cells),
      descriptors.map(({ name, help, labelKeys }) => [
        name,
        published[name]?.[0] === MetricType.COUNTER ? "counter" : "gauge",
        labelKeys
          .slice(base.length)
          .map((key) => `\`${key}\``)
          .join(", "),
        help,
      ]),
    );
  });

  it("match their descriptors, with one value for each set of labels", async () => {
    await using lab = await statsLab();
    for (const name of ["web", "db"]) await lab.runPod(name, ["app", "sidecar"]);
    const { descriptors } = await lab.runtime.listMetricDescriptors({});
    const keys = new Map(descriptors.map(({ name, labelKeys }) => [name, labelKeys]));
    const { podMetrics } = await lab.runtime.listPodSandboxMetrics({});
    assert.equal(podMetrics.length, 2);
    const all = podMetrics.flatMap((pod) => [
      ...pod.metrics,
      ...pod.containerMetrics.flatMap(({ metrics }) => metrics),
    ]);
    assert.ok(all.length > 150, String(all.length));
    const seen = new Set<string>();
    for (const { name, labelValues, metricType, value } of all) {
      assert.equal(labelValues.length, keys.get(name)?.length, name);
      assert.equal(metricType, published[name]?.[0], name);
      assert.ok(value, name);
      const series = `${name} ${labelValues.join(" | ")}`;
      assert.ok(!seen.has(series), series);
      seen.add(series);
    }
  });

  it("give a limit of memory in whole pages, as the kernel holds it", async () => {
    await using lab = await statsLab();
    await lab.runPod("web", ["app"], { memoryLimitInBytes: 80_000_000n });
    const { podMetrics } = await lab.runtime.listPodSandboxMetrics({});
    const metrics = podMetrics[0]?.containerMetrics[0]?.metrics ?? [];
    const limit = metrics.find(({ name }) => name === "container_spec_memory_limit_bytes");
    assert.equal(limit?.value?.value, 79_998_976n);
  });

  it("report the values of the stats for the pod, its network and each container", async () => {
    await using lab = await statsLab();
    const { pod, ids } = await lab.runPod("web", ["app", "sidecar"]);
    const [app = "", sidecar = ""] = ids;
    lab.engine.use(pod, { cpuNanos: 0, memoryBytes: 1, inactiveFileBytes: 0, receivedBytes: 77 });
    lab.engine.use(app, {
      cpuNanos: 7_900_000_000,
      memoryBytes: 9_000,
      inactiveFileBytes: 2_000,
      readBytes: 512,
    });
    lab.engine.use(sidecar, { cpuNanos: 1_000_000_000, memoryBytes: 10, inactiveFileBytes: 5 });
    const { podMetrics } = await lab.runtime.listPodSandboxMetrics({});
    const [of] = podMetrics;
    assert.equal(of?.podSandboxId, pod);
    const value = (metrics: readonly Metric[] | undefined, name: string, ...labels: string[]) =>
      metrics?.find(
        (metric) => metric.name === name && labels.every((label) => metric.labelValues.includes(label)),
      )?.value?.value;
    const metricsOf = (id: string) =>
      of.containerMetrics.find(({ containerId }) => containerId === id)?.metrics;
    assert.equal(value(metricsOf(app), "container_cpu_usage_seconds_total", "total"), 7n);
    assert.equal(value(metricsOf(app), "container_memory_working_set_bytes"), 7_000n);
    assert.equal(value(metricsOf(app), "container_fs_reads_bytes_total", "8:0"), 512n);
    assert.equal(value(metricsOf(app), "container_processes"), 1n);
    const createdAt = value(metricsOf(app), "container_creation_time_seconds");
    const startedAt = value(metricsOf(app), "container_start_time_seconds");
    const now = BigInt(Math.floor(Date.now() / 1_000));
    assert.ok(createdAt && startedAt && createdAt > now - 60n && createdAt <= startedAt && startedAt <= now);
    assert.equal(value(metricsOf(app), "container_file_descriptors"), 3n);
    assert.equal(value(metricsOf(app), "container_spec_memory_limit_bytes"), 0n);
    assert.equal(value(metricsOf(app), "container_spec_cpu_quota"), undefined, "no quota");
    assert.equal(value(metricsOf(sidecar), "container_memory_working_set_bytes"), 5n);
    assert.equal(value(of.metrics, "container_cpu_usage_seconds_total"), 8n);
    assert.equal(value(of.metrics, "container_network_receive_bytes_total", "eth0"), 77n);
    const path = "/kubepods/burstable/poduid-web";
    const labelsOf = (metrics: readonly Metric[] | undefined, name: string) =>
      metrics?.find((metric) => metric.name === name)?.labelValues.slice(0, base.length);
    assert.deepEqual(labelsOf(metricsOf(app), "container_processes"), [
      "app",
      `${path}/${app}`,
      "registry.example.com/app:1",
      "k8s_app_web_default_uid-web_0",
      "default",
      "web",
    ]);
    assert.deepEqual(labelsOf(of.metrics, "container_processes"), ["", path, "", "", "default", "web"]);
    assert.deepEqual(labelsOf(of.metrics, "container_network_receive_bytes_total"), [
      "POD",
      `${path}/${pod}`,
      "registry.k8s.io/pause:3.10",
      "k8s_POD_web_default_uid-web_0",
      "default",
      "web",
    ]);
  });

  it("leave out the open files of a container that has more than can be counted at once", async (t) => {
    await using lab = await statsLab();
    await lab.runPod("web", ["app"]);
    const { kernel } = lab.engine.host;
    const namesWith = async (openFilesNow: typeof kernel.openFilesNow) => {
      t.mock.method(kernel, "openFilesNow", openFilesNow);
      const { podMetrics } = await lab.runtime.listPodSandboxMetrics({});
      return podMetrics[0]?.containerMetrics[0]?.metrics.map(({ name }) => name) ?? [];
    };
    const few = await namesWith((_, most) =>
      Array.from({ length: Math.min(most, 9_000) }, () => "socket:[1]"),
    );
    assert.ok(few.includes("container_file_descriptors") && few.includes("container_sockets"));
    const many = await namesWith(() => undefined);
    assert.ok(!many.includes("container_file_descriptors") && !many.includes("container_sockets"));
    assert.ok(many.includes("container_processes"));
  });

  it("come in chunks that are one list together", async () => {
    await using lab = await statsLab();
    const pods = [await lab.runPod("web"), await lab.runPod("db")].map(({ pod }) => pod);
    const found: string[] = [];
    for await (const { podSandboxMetrics } of lab.runtime.streamPodSandboxMetrics({})) {
      found.push(...podSandboxMetrics.map(({ podSandboxId }) => podSandboxId));
    }
    assert.deepEqual(found.sort(), pods.sort());
  });
});
