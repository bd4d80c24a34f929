import type { Network, NetworkAttachment, NetworkStatus } from "./network.js";

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
