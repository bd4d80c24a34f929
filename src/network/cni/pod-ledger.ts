import type { HostFiles } from "../../host/index.js";
import { podInterface, type Attachment } from "./attachment.js";
import { HostPorts } from "./host-ports.js";
import type { PodRecords } from "./pod-records.js";
import { RecentSet } from "./recent-set.js";
import { addressesOf } from "./result.js";

/** Pods that were disconnected lately: kubelet stops and removes each one several times. */
const rememberedPods = 4_096;

/** What is known of pods without a look at the disk. */
export class PodLedger {
  private readonly addresses = new Map<string, readonly string[]>();
  private readonly here = new Set<string>();
  private readonly gone = new RecentSet(rememberedPods);
  private readonly ports: HostPorts;

  constructor(
    files: HostFiles,
    private readonly records: PodRecords,
  ) {
    this.ports = new HostPorts(files);
  }

  /** Starts anew from what is on record. */
  async restore(): Promise<void> {
    const connected = await this.records.connected();
    this.addresses.clear();
    this.ports.clear();
    for (const { entry, result } of connected) {
      this.ports.restore(entry.containerId, entry.netns, entry.capabilityArgs);
      if (result) this.addresses.set(entry.containerId, addressesOf(result, podInterface));
    }
  }

  /** A pod is about to be connected. @throws ShimError "conflict" when another one holds a port of its. */
  async connecting({ containerId, netns, capabilityArgs }: Omit<Attachment, "ifName">): Promise<void> {
    await this.ports.claim(containerId, netns, capabilityArgs);
    this.gone.delete(containerId);
  }

  connected(podId: string, ips: readonly string[]): void {
    this.here.add(podId);
    this.addresses.set(podId, ips);
  }

  /** Nothing is left of a pod's connections. */
  disconnected(podId: string): void {
    this.gone.add(podId);
    this.here.delete(podId);
    this.addresses.delete(podId);
    this.ports.release(podId);
  }

  isDisconnected(podId: string): boolean {
    return this.gone.has(podId);
  }

  ips(podId: string): readonly string[] | undefined {
    return this.addresses.get(podId);
  }

  /** The pods that this process connected and has not disconnected. */
  get connectedHere(): Iterable<string> {
    return this.here;
  }
}
