import type { Logger } from "../base/index.js";
import type { ShimConfig } from "../config/index.js";
import type { DockerService } from "../docker/index.js";
import type { Host } from "../host/index.js";
import type { Inventory } from "../inventory/index.js";

/** The services that the parts of this module share. */
export interface ContainersContext {
  readonly docker: DockerService;
  readonly host: Host;
  readonly inventory: Inventory;
  readonly config: ShimConfig;
  readonly log: Logger;
}
