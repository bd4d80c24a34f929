import type { Logger } from "../base/index.js";
import type { ShimConfig } from "../config/index.js";
import type { Host } from "../host/index.js";
import { BridgeNetwork } from "./bridge-network.js";
import { CniNetwork } from "./cni-network.js";
import type { Network } from "./network.js";

export interface NetworkOptions {
  readonly config: ShimConfig;
  readonly host: Host;
  readonly log: Logger;
}

/** The network that the configuration names. @throws ShimError "invalid-argument". */
export function createNetwork({ config, host, log }: NetworkOptions): Network {
  switch (config.network.plugin) {
    case "cni":
      return new CniNetwork({ host, config: config.network, log });
    case "none":
      return new BridgeNetwork();
  }
}
