import { ShimError, type Logger } from "../base/index.js";
import type { ShimConfig } from "../config/index.js";
import type { DockerService } from "../docker/index.js";
import { NodeHost } from "../drivers/node/index.js";
import type { Host } from "../host/index.js";

/** What the configuration names: an engine, and the node that it runs on. */
export interface Drivers {
  readonly docker: DockerService;
  readonly host: Host;
}

/**
 * Creates the drivers of the engine that the configuration names, without connecting. Only the modules of that driver
 * are loaded: each takes a considerable part of a cold start.
 * @throws ShimError "invalid-argument" for an engine that only an embedding program can provide.
 */
export async function makeDrivers(config: ShimConfig, log: Logger): Promise<Drivers> {
  switch (config.engine.kind) {
    case "docker": {
      const { createDockerodeService } = await import("../drivers/dockerode/index.js");
      const { endpoint } = config.engine;
      const requestTimeoutMs = config.runtimeRequestTimeoutMs;
      return { docker: createDockerodeService({ endpoint, requestTimeoutMs, log }), host: new NodeHost() };
    }
    case "memory": {
      const { createMemoryDocker } = await import("../drivers/memory/index.js");
      const docker = createMemoryDocker({ images: [config.sandboxImage] });
      for (const image of config.engine.images) docker.registry.add(image);
      return { docker, host: docker.host };
    }
    case "custom":
      throw new ShimError("invalid-argument", 'engine: pass a DockerService instead of kind "custom"');
  }
}
