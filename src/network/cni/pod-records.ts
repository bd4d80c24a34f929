import { connectionOf, type Connection } from "./connection.js";
import type { PodIdentity } from "../network.js";
import { areArgs, loopbackInterface, podInterface, possiblePodArgs } from "./attachment.js";
import { loopbackNetwork } from "./network-config.js";
import type { CachedAttachment, ResultCache } from "./result-cache.js";

/** The connections of one pod that are on record. */
export interface PodConnections {
  readonly mains: readonly Connection[];
  readonly loopbacks: readonly Connection[];
  /** Names of files in the pod's name that nobody can read. */
  readonly unreadable: readonly string[];
}

/** Reads the connections on record: those of pods, which this shim or cri-dockerd made. */
export class PodRecords {
  constructor(private readonly cache: ResultCache) {}

  async ofPod(pod: PodIdentity): Promise<PodConnections> {
    const { attachments, unreadable: torn } = await this.cache.list(pod.id);
    const endings = [podInterface, loopbackInterface].map((name) => `-${pod.id}-${name}`);
    const unreadable = torn.filter((file) => endings.some((ending) => file.endsWith(ending)));
    const mains: Connection[] = [];
    const loopbacks: Connection[] = [];
    for (const entry of attachments.filter(isOurs)) {
      const connection = connectionOf(entry);
      if (!connection) unreadable.push(`${entry.networkName}-${entry.containerId}-${entry.ifName}`);
      else (isLoopback(entry) ? loopbacks : mains).push(withPossibleArgs(connection, pod));
    }
    return { mains, loopbacks, unreadable };
  }

  /** The main connections of all pods. */
  async connected(): Promise<Connection[]> {
    const { attachments } = await this.cache.list();
    const mains = attachments.filter((entry) => isOurs(entry) && !isLoopback(entry));
    return mains.map(connectionOf).filter((connection) => connection !== undefined);
  }

  /** The entries of pods that are not valid and may be cleaned up. */
  async stale(valid: ReadonlySet<string>): Promise<CachedAttachment[]> {
    const { attachments } = await this.cache.list();
    return attachments.filter((entry) => {
      if (!isOurs(entry) || valid.has(entry.containerId)) return false;
      return connectionOf(entry)?.list.disableGc === false;
    });
  }
}

/** Other interfaces were made by plugins that call plugins, which end them themselves. */
function isOurs({ ifName }: CachedAttachment): boolean {
  return ifName === podInterface || ifName === loopbackInterface;
}

/** cri-dockerd keeps its loopback under the pod's interface. */
function isLoopback({ networkName }: CachedAttachment): boolean {
  return networkName === loopbackNetwork;
}

/** Arguments on record that no plugin can have been given are replaced. */
function withPossibleArgs(connection: Connection, pod: PodIdentity): Connection {
  if (areArgs(connection.entry.args)) return connection;
  return { ...connection, entry: { ...connection.entry, args: possiblePodArgs(pod) } };
}
