import { messageOf, OnceBegun, ShimError, type Logger } from "../../base/index.js";
import type { HostFiles } from "../../host/index.js";
import type { NetworkCallOptions, PodToDetach } from "../network.js";
import { loopbackInterface, podInterface, possiblePodArgs, type Attachment } from "./attachment.js";
import { capabilityArgs } from "./capabilities.js";
import { connectionOf, type Connection } from "./connection.js";
import type { JsonObject } from "./json.js";
import type { KeptNamespaces } from "./kept-namespaces.js";
import type { AttachOptions, ListRunner } from "./list-runner.js";
import { formatList, type NetworkList } from "./network-config.js";
import type { PodRecords } from "./pod-records.js";
import { addressesOf, type CniResult } from "./result.js";
import type { CachedAttachment, ResultCache } from "./result-cache.js";

/** The networks that a pod joins. */
export interface PodNetworks {
  readonly main: NetworkList;
  readonly loopback: NetworkList;
}

/** What a pod's connections are made with beside the networks. */
export type PodAttachment = Omit<Attachment, "ifName">;

export interface ConnectOptions extends NetworkCallOptions {
  /** Called when the connection failed and nothing is left of it. */
  readonly onUndone: () => void;
}

export interface ConnectionsOptions {
  readonly lists: ListRunner;
  readonly cache: ResultCache;
  readonly records: PodRecords;
  readonly kept: KeptNamespaces;
  readonly files: HostFiles;
  readonly log: Logger;
}

/**
 * Makes and ends the connections of pods. A pod's main one is on record before its first plugin runs and until
 * its last one has cleaned up, so that a crash at any point leaves something to clean up by. The loopback one,
 * which is made and ended beside the main one's longest step, ends with the namespace at the latest. The namespace is
 * kept as long as the connection: plugins that find it gone leave firewall rules behind.
 */
export class Connections {
  constructor(private readonly options: ConnectionsOptions) {}

  /** Connects a pod to its networks; when that fails, everything it did is undone. @throws ShimError. */
  async connect(
    networks: PodNetworks,
    pod: PodAttachment,
    { signal, onUndone }: ConnectOptions,
  ): Promise<{ ips: string[]; result: CniResult }> {
    const { lists, cache, kept } = this.options;
    if ((await this.living(pod.netns)) === "") throw noNamespace(pod.netns);
    const main = { ...pod, ifName: podInterface };
    // Its own capabilities are none, and cri-dockerd passes it none either.
    const loopback = { ...pod, ifName: loopbackInterface, capabilityArgs: {} };
    const leftOver = await cache.read({ networkName: networks.main.name, ...main });
    if (leftOver) await this.endEntry(leftOver, pod.netns, { signal });
    const addLoopback = async () => {
      const result = await lists.add(networks.loopback, loopback, { signal });
      await cache.write(record(networks.loopback, loopback, result));
    };
    const beside = new OnceBegun(() => settled([kept.keep(pod.containerId, pod.netns), addLoopback()]));
    try {
      const made = await this.connectMain(networks.main, main, { signal, beside: beside.begin });
      await beside.ended();
      return made;
    } catch (error) {
      // Nothing may be under way when it is undone.
      await beside.settled();
      const netns = await this.namespaceOf(pod.containerId, pod.netns);
      if (await this.undo(networks, { ...main, netns }, { ...loopback, netns })) {
        await kept.release(pod.containerId);
        onUndone();
      }
      throw error;
    }
  }

  /**
   * Ends what is on record for a pod, and nothing else; where nothing is, what `network` may have.
   * @throws ShimError; the record stays for a retry.
   */
  async disconnect(
    pod: PodToDetach,
    network: NetworkList | undefined,
    podCidrs: readonly string[],
    options: NetworkCallOptions,
  ): Promise<void> {
    const { lists, cache, records, log } = this.options;
    const netns = await this.namespaceOf(pod.id, pod.netnsPath);
    const { mains, loopbacks, unreadable } = await records.ofPod(pod);
    const beside = new OnceBegun(() =>
      settled(loopbacks.map((connection) => this.endLoopback(connection, netns, options))),
    );
    const attachOptions = { ...options, beside: beside.begin };
    try {
      for (const connection of mains) await this.end(connection, netns, attachOptions);
      if (mains.length === 0) {
        const what = { pod: pod.id, network: network?.name };
        log.info(what, "no CNI result is cached: only the present network can be asked");
        if (network) await lists.delete(network, this.guess(pod, netns, podCidrs), undefined, attachOptions);
      }
    } finally {
      beside.begin();
      await beside.ended();
    }
    for (const name of unreadable) await cache.removeFile(name);
  }

  /**
   * Ends the connections on record of pods that are not valid.
   * @returns The failures.
   */
  async endStale(valid: ReadonlySet<string>, options: NetworkCallOptions): Promise<unknown[]> {
    const failures: unknown[] = [];
    for (const entry of await this.options.records.stale(valid)) {
      // The path on record may name another pod's namespace by now.
      const netns = await this.namespaceOf(entry.containerId, undefined);
      await this.endEntry(entry, netns, options).catch((error: unknown) => failures.push(error));
    }
    return failures;
  }

  private async connectMain(
    network: NetworkList,
    attachment: Attachment,
    options: AttachOptions,
  ): Promise<{ ips: string[]; result: CniResult }> {
    const { lists, cache } = this.options;
    await cache.write(record(network, attachment, undefined));
    const result = await lists.add(network, attachment, options);
    const ips = addressesOf(result, podInterface);
    if (ips.length === 0) throw noAddress(network);
    await cache.write(record(network, attachment, result));
    return { ips, result };
  }

  /** Ends a connection of which only the record is left. @throws ShimError. */
  private async endEntry(entry: CachedAttachment, netns: string, options: NetworkCallOptions): Promise<void> {
    const connection = connectionOf(entry);
    if (connection) await this.end(connection, netns, options);
    else await this.options.cache.remove(entry);
  }

  private async end(connection: Connection, netns: string, options: AttachOptions): Promise<void> {
    const { lists, cache } = this.options;
    const { entry, list, result } = connection;
    await lists.delete(list, { ...entry, netns }, result, options);
    await cache.remove(entry);
  }

  /** The interface goes with its namespace: a failure here costs nothing and must not keep a pod. */
  private async endLoopback(
    { entry, list }: Connection,
    netns: string,
    options: NetworkCallOptions,
  ): Promise<void> {
    const { lists, cache, log } = this.options;
    if (netns !== "") {
      await lists.delete(list, { ...entry, netns }, undefined, options).catch((error: unknown) => {
        log.warn({ pod: entry.containerId, err: messageOf(error) }, "CNI loopback failed to take lo down");
      });
    }
    await cache.remove(entry);
  }

  /** @returns False when something is left, which is then still on record. */
  private async undo(networks: PodNetworks, main: Attachment, loopback: Attachment): Promise<boolean> {
    const { lists, cache, log } = this.options;
    const failures = await lists.undo(networks.main, main);
    await lists.undo(networks.loopback, loopback);
    try {
      await cache.remove({ networkName: networks.loopback.name, ...loopback });
      if (failures.length === 0) await cache.remove({ networkName: networks.main.name, ...main });
    } catch (error) {
      failures.push(error);
    }
    if (failures.length === 0) return true;
    const err = failures.map(messageOf).join("; ");
    log.warn({ pod: main.containerId, err }, "a failed connection could not be undone: it stays on record");
    return false;
  }

  /** How a pod was attached of which nothing is on record. */
  private guess(pod: PodToDetach, netns: string, podCidrs: readonly string[]): Attachment {
    const given = { annotations: {}, dns: undefined, podCidrs };
    let capabilities: JsonObject;
    try {
      capabilities = capabilityArgs({ portMappings: pod.portMappings ?? [], ...given });
    } catch (error) {
      this.options.log.warn({ pod: pod.id, err: messageOf(error) }, "disconnecting without port mappings");
      capabilities = capabilityArgs({ portMappings: [], ...given });
    }
    const args = possiblePodArgs(pod);
    return { containerId: pod.id, ifName: podInterface, netns, args, capabilityArgs: capabilities };
  }

  /** The path of a pod's namespace: the kept one, which is that of ADD whatever became of its processes. */
  private async namespaceOf(podId: string, netnsPath: string | undefined): Promise<string> {
    return (await this.options.kept.find(podId)) ?? (await this.living(netnsPath));
  }

  /** The namespace's path, or the empty text that tells plugins that it is gone. */
  private async living(netnsPath: string | undefined): Promise<string> {
    if (netnsPath === undefined || netnsPath === "") return "";
    return (await this.options.files.kindOf(netnsPath)) === undefined ? "" : netnsPath;
  }
}

/** Waits for all, also when one fails. @throws What the first one that failed threw. */
async function settled(work: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(work);
  await Promise.all(work);
}

function record(list: NetworkList, attachment: Attachment, result: CniResult | undefined): CachedAttachment {
  return { ...attachment, networkName: list.name, config: formatList(list), result };
}

function noNamespace(netns: string): ShimError {
  const which = netns === "" ? "" : ` ${netns}`;
  return new ShimError(
    "failed-precondition",
    `its network namespace${which} is gone: the sandbox has ended`,
    {
      operation: "network.attach",
    },
  );
}

function noAddress(network: NetworkList): ShimError {
  return new ShimError(
    "failed-precondition",
    `network ${network.name} gave the pod no IP address: see the ipam part of its configuration`,
    { operation: "network.attach" },
  );
}
