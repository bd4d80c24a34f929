import type { DockerContainers } from "./containers.js";
import type { DockerEvents } from "./events.js";
import type { DockerExecs } from "./exec.js";
import type { DockerImages } from "./images.js";
import type { DockerSystem } from "./system.js";

/** The port to a Docker Engine; drivers implement it. */
export interface DockerService {
  readonly containers: DockerContainers;
  readonly images: DockerImages;
  readonly execs: DockerExecs;
  readonly events: DockerEvents;
  readonly system: DockerSystem;

  /** Closes every connection; calls under way fail with `unavailable`. Idempotent. */
  close(): Promise<void>;
}

/** The token under which the shim's {@link DockerService} is registered. */
export const DockerService = Symbol("DockerService");
