import type { Images } from "../images/index.js";
import type { Inventory } from "../inventory/index.js";
import type { ContainerLogs } from "../logs/index.js";
import type { Streaming } from "../streaming/index.js";
import type { Prom, Registry } from "./prom.js";

/** The modules whose state is shown. */
export interface MetricSources {
  readonly inventory: Inventory;
  readonly logs: ContainerLogs;
  readonly images: Images;
  readonly streaming: Streaming;
}

const lagBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300];

/**
 * Shows the state of modules, which is read when the metrics are.
 * @returns Ends what follows the modules.
 */
export function moduleMetrics(prom: Prom, registry: Registry, sources: MetricSources): () => void {
  const { images, streaming } = sources;
  const show = new Readings(prom, registry);
  inventoryMetrics(show, sources.inventory);
  show.gauge("docker_cri_image_pulls_running", "Image pulls in progress.", () => images.pullCounts.running);
  show.counter("docker_cri_image_pulls_succeeded_total", "Successful image pulls.", () => {
    return images.pullCounts.succeeded;
  });
  show.counter("docker_cri_image_pulls_failed_total", "Failed image pulls.", () => {
    return images.pullCounts.failed;
  });
  show.gauge("docker_cri_streaming_sessions_open", "Open sessions of exec, attach and port-forward.", () => {
    return streaming.openSessions;
  });
  return logMetrics(prom, registry, sources.logs);
}

function inventoryMetrics(show: Readings, inventory: Inventory): void {
  const known = (count: () => number) => () => (inventory.isReady ? count() : undefined);
  show.gauge("docker_cri_docker_connected", "1 while docker-cri follows Docker's events, else 0.", () =>
    inventory.connection.ok ? 1 : 0,
  );
  show.gauge(
    "docker_cri_inventory_age_seconds",
    "Time since an event or a list from Docker last confirmed the inventory.",
    () => inventory.freshness.ageSeconds,
  );
  show.counter(
    "docker_cri_inventory_syncs_total",
    "Full reads of Docker's state: one at start, and one after each lost connection to Docker.",
    () => inventory.freshness.syncs,
  );
  show.counter(
    "docker_cri_inventory_missed_changes_total",
    "Container changes that no event reported, found by comparison with Docker's list.",
    () => inventory.freshness.missedChanges,
  );
  show.gauge(
    "docker_cri_sandboxes",
    "Pod sandboxes.",
    known(() => inventory.sandboxes().length),
  );
  show.gauge(
    "docker_cri_containers",
    "Containers, sandboxes not included.",
    known(() => inventory.workloads().length),
  );
  show.gauge(
    "docker_cri_images",
    "Images.",
    known(() => [...inventory.images.records()].length),
  );
}

function logMetrics(
  { Counter, Gauge, Histogram }: Prom,
  registry: Registry,
  logs: ContainerLogs,
): () => void {
  const registers = [registry];
  const lines = new Counter({
    name: "docker_cri_log_lines_total",
    help: "Lines written to log files.",
    registers,
  });
  const bytes = new Counter({
    name: "docker_cri_log_bytes_total",
    help: "Bytes written to log files.",
    registers,
  });
  const lag = new Histogram({
    name: "docker_cri_log_lag_seconds",
    help: "Delay between Docker's timestamp of a line and its write to the log file, for the last line of each write.",
    buckets: lagBuckets,
    registers,
  });
  new Gauge({
    name: "docker_cri_log_pumps",
    help: "Container logs that are being copied.",
    registers,
    collect() {
      this.set(logs.counts.active);
    },
  });
  return logs.onWrite((written) => {
    lines.inc(written.lines);
    bytes.inc(written.bytes);
    lag.observe(written.lagSeconds);
  });
}

/** Metrics that are read from elsewhere at each scrape. */
class Readings {
  constructor(
    private readonly prom: Prom,
    private readonly registry: Registry,
  ) {}

  /** Left out while `read` gives undefined. */
  gauge(name: string, help: string, read: () => number | undefined): void {
    new this.prom.Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        const value = read();
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  }

  counter(name: string, help: string, read: () => number): void {
    new this.prom.Counter({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }
}
