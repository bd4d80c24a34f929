import "reflect-metadata";
import type { TracerProvider } from "@opentelemetry/api";
import { container as rootContainer, Lifecycle, type DependencyContainer } from "tsyringe";
import { Logger } from "../base/index.js";
import { Checkpoints } from "../checkpoint/index.js";
import { parseConfig, ShimConfig } from "../config/index.js";
import { Containers } from "../containers/index.js";
import { DockerService } from "../docker/index.js";
import { NodeHost } from "../drivers/node/index.js";
import { ContainerEvents } from "../events/index.js";
import { Host } from "../host/index.js";
import { Images } from "../images/index.js";
import { Inventory } from "../inventory/index.js";
import { ContainerLogs } from "../logs/index.js";
import { createNetwork, Network } from "../network/index.js";
import { handlerTable } from "../rpc/index.js";
import { Runtime } from "../runtime/index.js";
import { SandboxCreator, SandboxRecovery, Sandboxes, Teardown } from "../sandbox/index.js";
import { Stats } from "../stats/index.js";
import { ContainerShim } from "./container-shim.js";
import type { ShimMetrics, Tracing } from "../observability/index.js";
import { Streaming } from "../streaming/index.js";
import { makeDrivers } from "./drivers.js";
import { oncePerContainer, partsOf } from "./parts.js";
import { stderrLog } from "./stderr-log.js";
import type { Shim, ShimOptions } from "./shim.js";

/** The classes with one instance for each shim, created on first use; each is its own token. */
const modules = [
  Inventory,
  Runtime,
  Checkpoints,
  Teardown,
  SandboxCreator,
  SandboxRecovery,
  Sandboxes,
  Containers,
  Images,
  ContainerLogs,
  ContainerEvents,
  Stats,
  Streaming,
] as const;

/**
 * Creates a shim, which follows its engine from now on. It does not wait for the engine: see {@link Shim.start}.
 * @throws ShimError "invalid-argument" naming each option that is wrong.
 */
export async function createShim(options: ShimOptions = {}): Promise<Shim> {
  const { engine, host, log: givenLog, override, tracerProvider, ...rest } = options;
  const custom = engine !== undefined && !("kind" in engine) ? engine : undefined;
  const config = parseConfig(
    { ...rest, engine: custom ? { kind: "custom" } : (engine as never) },
    "createShim",
  );
  const log = givenLog ?? stderrLog(config.logLevel);
  const driver = custom ? { docker: custom, host: new NodeHost() } : await makeDrivers(config, log);
  const { metrics, tracing } = await openObservability(config, tracerProvider);
  let { docker } = driver;
  if (metrics) docker = metrics.docker(docker);
  if (tracing) docker = tracing.docker(docker);
  const container = rootContainer.createChildContainer();
  container.register(ShimConfig, { useValue: config });
  container.register(Logger, { useValue: log });
  container.register(DockerService, { useValue: docker });
  container.register(Host, { useValue: host ?? driver.host });
  registerModules(container, tracing);
  registerHandlers(container);
  override?.(partsOf(container));
  const shim = new ContainerShim(container, { metrics, observers: [metrics?.observer, tracing?.observer] });
  await shim.begin();
  return shim;
}

/** Loads what is asked for: most shims need neither, and would start later with it. */
async function openObservability(
  config: ShimConfig,
  provider: TracerProvider | undefined,
): Promise<Observability> {
  const isMeasured = config.metrics.address !== undefined;
  if (!isMeasured && !provider) return {};
  const { ShimMetrics, Tracing } = await import("../observability/index.js");
  return {
    metrics: isMeasured ? await ShimMetrics.open() : undefined,
    tracing: provider && new Tracing(provider),
  };
}

interface Observability {
  readonly metrics?: ShimMetrics | undefined;
  readonly tracing?: Tracing | undefined;
}

function registerModules(container: DependencyContainer, tracing: Tracing | undefined): void {
  for (const module of modules) {
    if (tracing && module !== Inventory) registerTraced(container, module, tracing);
    else container.register<unknown>(module, { useClass: module }, { lifecycle: Lifecycle.ContainerScoped });
  }
  container.register(Network, {
    useFactory: oncePerContainer(Network, (from) =>
      createNetwork(
        from.resolve<ShimConfig>(ShimConfig),
        from.resolve<Host>(Host),
        from.resolve<Logger>(Logger),
      ),
    ),
  });
}

function registerHandlers(container: DependencyContainer): void {
  for (const methods of Object.values(handlerTable)) {
    for (const handler of Object.values(methods)) {
      register(container, handler);
    }
  }
}

/** Registers a class with one instance for each shim, created on first use; the class is its own token. */
function register(container: DependencyContainer, useClass: unknown): void {
  const token = useClass as new () => unknown;
  container.register(token, { useClass: token }, { lifecycle: Lifecycle.ContainerScoped });
}

/** A module whose calls are traced. The inventory's, which are many and short, are not. */
function registerTraced(
  container: DependencyContainer,
  module: (typeof modules)[number],
  tracing: Tracing,
): void {
  const untraced = Symbol(module.name);
  container.register<object>(untraced, { useClass: module });
  container.register<unknown>(module, {
    useFactory: oncePerContainer<unknown>(module, (from) =>
      tracing.module(from.resolve<object>(untraced), module.name),
    ),
  });
}
