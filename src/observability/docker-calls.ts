import type { DockerService } from "../docker/index.js";
import { watchMethods, type Watch } from "./watch-methods.js";

/** A DockerService with each of its calls under watch, named such as `containers.inspect`. */
export function watchDocker(docker: DockerService, watch: Watch): DockerService {
  return {
    containers: watchMethods(docker.containers, "containers", watch),
    images: watchMethods(docker.images, "images", watch),
    execs: watchMethods(docker.execs, "execs", watch),
    events: watchMethods(docker.events, "events", watch),
    system: watchMethods(docker.system, "system", watch),
    close: () => docker.close(),
  };
}
