import "reflect-metadata";
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
import { Streaming } from "../streaming/index.js";
import { makeDrivers } from "./drivers.js";
import { stderrLog } from "./stderr-log.js";
import type { Shim, ShimOptions } from "./shim.js";

/** The classes with one instance for each shim, created on first use; each is its own token. */
const rooms = [
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
  const { engine, host, log: givenLog, override, ...rest } = options;
  const custom = engine !== undefined && !("kind" in engine) ? engine : undefined;
  const config = parseConfig(
    { ...rest, engine: custom ? { kind: "custom" } : (engine as never) },
    "createShim",
  );
  const log = givenLog ?? stderrLog(config.logLevel);
  const driver = custom ? { docker: custom, host: new NodeHost() } : await makeDrivers(config, log);
  const container = rootContainer.createChildContainer();
  container.register(ShimConfig, { useValue: config });
  container.register(Logger, { useValue: log });
  container.register(DockerService, { useValue: driver.docker });
  container.register(Host, { useValue: host ?? driver.host });
  registerRooms(container);
  registerHandlers(container);
  override?.(container);
  const shim = new ContainerShim(container);
  await shim.begin();
  return shim;
}

function registerRooms(container: DependencyContainer): void {
  for (const room of rooms) {
    container.register<unknown>(room, { useClass: room }, { lifecycle: Lifecycle.ContainerScoped });
  }
  container.register(Network, {
    useFactory: oncePerContainer((from) =>
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

/** A factory that caches its result: tsyringe's own caching factory would share it between shims. */
function oncePerContainer<T>(
  make: (container: DependencyContainer) => T,
): (container: DependencyContainer) => T {
  let made: { readonly value: T } | undefined;
  return (container) => (made ??= { value: make(container) }).value;
}
