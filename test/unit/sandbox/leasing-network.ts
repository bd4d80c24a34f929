import type {
  Network,
  NetworkAttachment,
  NetworkStatus,
  PodToAttach,
  PodToCheck,
  PodToDetach,
} from "../../../src/network/index.js";

/** A network that gives each pod an address and remembers who holds which: what is not given back is a leak. */
export class LeasingNetwork implements Network {
  readonly sandboxNetworkMode = "none";
  readonly leases = new Map<string, string>();
  /** The pods that each clean-up was told to spare. */
  readonly spared: string[][] = [];
  /** The pods that were looked at, in order. */
  readonly checked: string[] = [];
  /** The next calls of attach, or of detach, fail with this; those of check by pod. */
  readonly failures: { attach?: Error; detach?: Error; check?: ReadonlyMap<string, Error> } = {};
  podCidr = "";
  ready = true;
  private next = 2;

  start(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  status(): NetworkStatus {
    return this.ready
      ? { ready: true }
      : { ready: false, reason: "NetworkPluginNotReady", message: "no network" };
  }

  attach(pod: PodToAttach): Promise<NetworkAttachment> {
    const ip = `10.1.0.${this.next++}`;
    if (this.failures.attach) return Promise.reject(this.failures.attach);
    this.leases.set(pod.id, ip);
    return Promise.resolve({ ips: [ip], result: undefined });
  }

  detach(pod: PodToDetach): Promise<void> {
    if (this.failures.detach) return Promise.reject(this.failures.detach);
    this.leases.delete(pod.id);
    return Promise.resolve();
  }

  holdNamespace(): Promise<boolean> {
    return Promise.resolve(false);
  }

  check(pod: PodToCheck): Promise<void> {
    this.checked.push(pod.id);
    const failure = this.failures.check?.get(pod.id);
    return failure ? Promise.reject(failure) : Promise.resolve();
  }

  gc(validPodIds: Iterable<string>): Promise<void> {
    this.spared.push([...validPodIds]);
    return Promise.resolve();
  }

  setPodCidr(cidr: string): Promise<void> {
    this.podCidr = cidr;
    return Promise.resolve();
  }

  cachedIps(podId: string): readonly string[] | undefined {
    const ip = this.leases.get(podId);
    return ip === undefined ? undefined : [ip];
  }
}
