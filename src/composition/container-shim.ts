import type { Duplex } from "node:stream";
import type { DescMethodServerStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import type { ConnectRouter, Transport } from "@connectrpc/connect";
import { type DependencyContainer, type InjectionToken } from "tsyringe";
import { inProcessTransport } from "../adapters/in-process/index.js";
import { isKind, Logger, ShimError } from "../base/index.js";
import { Checkpoints } from "../checkpoint/index.js";
import { ShimConfig } from "../config/index.js";
import { Containers } from "../containers/index.js";
import { DockerService } from "../docker/index.js";
import { RuntimeService } from "../gen/runtime/v1/api_pb.js";
import type { CallContext, StreamHandler, UnaryHandler } from "../handlers/index.js";
import { Images } from "../images/index.js";
import { Inventory } from "../inventory/index.js";
import { ContainerLogs } from "../logs/index.js";
import { Network } from "../network/index.js";
import type { ShimMetrics } from "../observability/index.js";
import { handlerTable, mountHandlers, type CallObserver, type RpcOptions } from "../rpc/index.js";
import { SandboxRecovery } from "../sandbox/index.js";
import { Stats, usageReader, type UsageReader } from "../stats/index.js";
import { Streaming, type ProcessOptions, type RemoteProcess } from "../streaming/index.js";
import type { Shim, ShimMetricsReader } from "./shim.js";

type AnyHandler = UnaryHandler<DescMethodUnary> | StreamHandler<DescMethodServerStreaming>;

const defaultStartMs = 30_000;
const firstSyncMs = 10_000;

/** What watches a shim. */
export interface ShimObservability {
  readonly metrics: ShimMetrics | undefined;
  readonly observers: readonly (CallObserver | undefined)[];
}

/** A shim with its own tsyringe container. */
export class ContainerShim implements Shim {
  readonly config: ShimConfig;
  readonly log: Logger;
  readonly streaming: Streaming;
  readonly stats: UsageReader;
  private readonly inventory: Inventory;
  private readonly network: Network;
  private readonly logs: ContainerLogs;
  private closing: Promise<void> | undefined;

  readonly observer: CallObserver | undefined;
  readonly metrics: ShimMetricsReader | undefined;

  constructor(
    private readonly container: DependencyContainer,
    private readonly observability: ShimObservability,
  ) {
    this.config = container.resolve<ShimConfig>(ShimConfig);
    this.log = container.resolve<Logger>(Logger);
    this.streaming = container.resolve(Streaming);
    this.inventory = container.resolve(Inventory);
    this.network = container.resolve<Network>(Network);
    this.logs = container.resolve(ContainerLogs);
    this.stats = usageReader(container.resolve(Stats));
    this.observer = allOf(observability.observers.filter((observer) => observer !== undefined));
    this.metrics = this.openMetrics();
  }

  /** Starts the background work. */
  async begin(): Promise<void> {
    this.inventory.start();
    this.container.resolve(Stats).start();
    await Promise.all([this.container.resolve(Checkpoints).start(), this.network.start()]);
    const containers = this.container.resolve(Containers);
    this.besides(containers.keepLogs(), "logs of existing containers");
    this.besides(containers.keepImageVolumes(), "image volumes");
    this.besides(containers.keepCgroupLimits(), "cgroup limits");
    this.besides(this.container.resolve(SandboxRecovery).run(), "recovery of pods");
    this.besides(this.streaming.endLeftovers(), "execs of an earlier process");
    this.besides(this.container.resolve(Images).keepSandboxImage(), "sandbox image");
  }

  async start(options: { readonly deadlineMs?: number; readonly signal?: AbortSignal } = {}): Promise<void> {
    const { deadlineMs = defaultStartMs, signal } = options;
    try {
      await this.inventory.whenReady({ deadlineMs, signal });
    } catch (cause) {
      const { connection } = this.inventory;
      if (connection.ok || !isKind(cause, "deadline-exceeded")) throw cause;
      const text = `start: Docker's state could not be read within ${deadlineMs} ms: ${connection.message}`;
      throw new ShimError("deadline-exceeded", text, { cause });
    }
    if (!this.inventory.isReady)
      throw new ShimError("unavailable", "start: the shim was closed before it had read Docker's state");
  }

  handlerFor(method: DescMethodUnary | DescMethodServerStreaming): AnyHandler {
    const table: Readonly<Record<string, Readonly<Record<string, unknown>>>> = handlerTable;
    const handler = table[method.parent.name]?.[method.localName];
    if (!handler) throw new TypeError(`no handler is registered for ${method.toString()}`);
    return this.container.resolve(handler as InjectionToken<AnyHandler>);
  }

  /**
   * While Docker's state is read for the first time, calls wait for it: a kubelet that lists too early would take an
   * error for an empty node. Version needs no containers, and its time does not depend on how many there are.
   */
  beforeCall(
    method: DescMethodUnary | DescMethodServerStreaming,
    { signal }: CallContext,
  ): Promise<void> | undefined {
    if (this.closing) throw new ShimError("unavailable", "the shim is closed");
    if (!this.inventory.isReading || method === RuntimeService.method.version) return undefined;
    return this.inventory.whenReady({ signal, deadlineMs: firstSyncMs }).catch(() => undefined);
  }

  mount(router: ConnectRouter, options: RpcOptions = {}): void {
    mountHandlers(router, this, options);
  }

  inProcessTransport(): Transport {
    return inProcessTransport(this);
  }

  exec(containerId: string, command: readonly string[], options?: ProcessOptions): Promise<RemoteProcess> {
    return this.streaming.exec(containerId, command, options);
  }

  attach(containerId: string, options?: Omit<ProcessOptions, "tty">): Promise<RemoteProcess> {
    return this.streaming.attach(containerId, options);
  }

  portForward(podId: string, port: number, options?: { readonly signal?: AbortSignal }): Promise<Duplex> {
    return this.streaming.portForward(podId, port, options);
  }

  resolve<T>(token: InjectionToken<T>): T {
    return this.container.resolve(token);
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private openMetrics(): ShimMetricsReader | undefined {
    const { config, inventory, logs, streaming } = this;
    const { metrics } = this.observability;
    const { address } = config.metrics;
    if (!metrics || address === undefined) return undefined;
    metrics.follow({ inventory, logs, streaming, images: this.container.resolve(Images) });
    return {
      contentType: metrics.contentType,
      text: () => metrics.text(),
      listen: () => metrics.listen(address, this.log),
    };
  }

  /** Runs background work. A failure is logged. */
  private besides(work: Promise<void>, what: string): void {
    work.catch((error: unknown) => {
      this.log.error({ err: error }, `background work failed: ${what}`);
    });
  }

  private async end(): Promise<void> {
    this.observability.metrics?.close();
    this.container.resolve(Stats).close();
    await this.streaming.close();
    this.container.resolve(SandboxRecovery).close();
    this.container.resolve(Containers).close();
    this.container.resolve(Images).close();
    await this.logs.close();
    await this.inventory.close();
    await this.network.close();
    await this.container.resolve<DockerService>(DockerService).close();
    this.container.clearInstances();
  }
}

/** One observer for all of them. */
function allOf(observers: readonly CallObserver[]): CallObserver | undefined {
  if (observers.length < 2) return observers[0];
  return {
    begin: (method, header) => {
      const calls = observers.map((observer) => observer.begin(method, header));
      return {
        run: (work) => calls.reduce((inner, call) => () => call.run(inner), work)(),
        end: (code, number) => {
          for (const call of calls) call.end(code, number);
        },
      };
    },
  };
}
