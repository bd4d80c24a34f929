import type { Logger } from "../base/index.js";
import type { ShimConfig } from "../config/index.js";
import type { Host } from "../host/index.js";
import { CniNetwork } from "./cni-network.js";
import type { Network, NetworkAttachment, NetworkStatus } from "./network.js";

/** The network that the configuration names. @throws ShimError "invalid-argument". */
export function createNetwork(config: ShimConfig, host: Host, log: Logger): Network {
  switch (config.network.plugin) {
    case "cni":
      return new CniNetwork(host, config.network, log);
    case "none":
      return new BridgeNetwork();
  }
}

/** Leaves pods on Docker's default bridge: Docker connects them, publishes their ports and knows their addresses. */
export class BridgeNetwork implements Network {
  readonly sandboxNetworkMode = "default";

  async start(): Promise<void> {}

  async close(): Promise<void> {}

  status(): NetworkStatus {
    return { ready: true, networkName: "bridge" };
  }

  attach(): Promise<NetworkAttachment> {
    return Promise.resolve({ ips: undefined, result: undefined });
  }

  async detach(): Promise<void> {}

  holdNamespace(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async check(): Promise<void> {}

  async gc(): Promise<void> {}

  async setPodCidr(): Promise<void> {}

  cachedIps(): undefined {}
}
