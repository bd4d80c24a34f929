import type { Logger } from "../base/index.js";
import type { DockerService } from "../docker/index.js";
import type { CallObserver } from "../rpc/serving.js";
import { dockerMetrics, rpcMetrics } from "./call-metrics.js";
import { serveMetrics, type MetricsServer } from "./metrics-server.js";
import { moduleMetrics, type MetricSources } from "./module-metrics.js";
import { loadProm, processRegistry } from "./prom.js";

/** The metrics of a shim itself: calls, Docker, modules, and the process. */
export class ShimMetrics {
  private unfollow: () => void = () => undefined;
  private server: MetricsServer | undefined;

  private constructor(
    /** Counts and times RPCs. */
    readonly observer: CallObserver,
    /** Docker with its calls counted and timed. */
    readonly docker: (docker: DockerService) => DockerService,
    /** Of {@link text}. */
    readonly contentType: string,
    /** Everything in Prometheus' text format. */
    readonly text: () => Promise<string>,
    private readonly followModules: (sources: MetricSources) => () => void,
  ) {}

  /** Loads what metrics need. */
  static async open(): Promise<ShimMetrics> {
    const prom = await loadProm();
    const own = new prom.Registry();
    const registries = [own, processRegistry(prom)];
    return new ShimMetrics(
      rpcMetrics(prom, own),
      dockerMetrics(prom, own),
      own.contentType,
      async () => (await Promise.all(registries.map((registry) => registry.metrics()))).join("\n"),
      (sources) => moduleMetrics(prom, own, sources),
    );
  }

  /** Shows the state of modules from now on. */
  follow(sources: MetricSources): void {
    this.unfollow = this.followModules(sources);
  }

  /**
   * Serves the metrics at `/metrics`.
   * @param address `host:port`; port 0 takes a free one.
   * @returns The URL.
   * @throws ShimError "already-exists" when the port is taken.
   */
  async listen(address: string, log: Logger): Promise<string> {
    const { contentType, text: read } = this;
    this.server ??= await serveMetrics({ address, contentType, read, log });
    return this.server.url;
  }

  close(): void {
    this.server?.close();
    this.unfollow();
  }
}
