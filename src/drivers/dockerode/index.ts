import type { Logger } from "../../base/index.js";
import type { DockerService } from "../../docker/index.js";
import { DockerodeContainers } from "./containers.js";
import { EngineConnection } from "./engine.js";
import { DockerodeEvents } from "./events.js";
import { DockerodeExecs } from "./execs.js";
import { DockerodeImages } from "./images.js";
import { DockerodeSystem } from "./system.js";

/** How to reach a Docker Engine. */
export interface DockerodeOptions {
  /** `unix:///path` or `tcp://host:port`. */
  readonly endpoint: string;
  /** The limit of a call that names none, in milliseconds. Streams: until Docker has begun to answer. */
  readonly requestTimeoutMs: number;
  readonly log: Logger;
}

/**
 * Creates a DockerService for a Docker Engine with API 1.41 or newer. It connects on the first call, and reconnects
 * when the connection was lost; the API version is negotiated each time.
 * @throws ShimError "invalid-argument" for an endpoint, or a DOCKER_HOST, that cannot be read.
 * @see Docker API, "Versioning"
 */
export function createDockerodeService(options: DockerodeOptions): DockerService {
  const engine = new EngineConnection(options.endpoint, options.requestTimeoutMs, options.log);
  return {
    containers: new DockerodeContainers(engine),
    images: new DockerodeImages(engine),
    execs: new DockerodeExecs(engine),
    events: new DockerodeEvents(engine),
    system: new DockerodeSystem(engine),
    close: () => {
      engine.close();
      return Promise.resolve();
    },
  };
}
