import { messageOf, settleAll, ShimError, type Logger } from "../../base/index.js";
import type { HostFiles } from "../../host/index.js";
import type { NetworkCallOptions, PodToDetach } from "../network.js";
import {
  loopbackInterface,
  podInterface,
  possiblePodArgs,
  type Attachment,
  type PodAttachment,
} from "./attachment.js";
import { isLoopback, type AttachmentStore, type StoredAttachment } from "./attachment-store.js";
import { capabilityArgs } from "./capabilities.js";
import type { JsonObject } from "./json.js";
import type { ListRunner } from "./list-runner.js";
import type { NamespaceMounts } from "./namespace-mounts.js";
import type { NetworkList } from "./network-config.js";
import { addressesOf, type CniResult } from "./result.js";

/** The networks that a pod joins. */
export interface PodNetworks {
  readonly main: NetworkList;
  readonly loopback: NetworkList;
}

/** The result of a pod's attachment to its main network. */
export interface Attached {
  readonly ips: string[];
  readonly result: CniResult;
}

/**
 * Attaches pods to their networks and detaches them. The main attachment is stored before its first plugin runs and until
 * its last one has cleaned up, so that a restart can clean up after a crash at any point. The namespace is kept as long:
 * plugins that do not find it leave firewall rules behind.
 */
export class PodAttacher {
  constructor(
    private readonly lists: ListRunner,
    private readonly store: AttachmentStore,
    private readonly namespaces: NamespaceMounts,
    private readonly files: HostFiles,
    private readonly log: Logger,
  ) {}

  /** Attaches a pod. If that fails, everything is undone. @throws ShimError. */
  async attach(
    { main, loopback }: PodNetworks,
    pod: PodAttachment,
    { signal }: NetworkCallOptions,
  ): Promise<Attached> {
    const { store, namespaces } = this;
    const { containerId, netns } = pod;
    if ((await this.existing(netns)) === "") throw noNamespace(netns);
    const mainAttachment = { ...pod, ifName: podInterface };
    // cri-dockerd passes loopback no capabilities either.
    const loopbackAttachment = { ...pod, ifName: loopbackInterface, capabilityArgs: {} };
    const earlier = (await store.list(containerId)).attachments;
    for (const each of earlier.filter(({ network }) => network.name === main.name))
      await this.end(each, netns, { signal });
    try {
      await store.write(main, mainAttachment);
      const added = this.addMain(main, mainAttachment, signal);
      await settleAll([
        added,
        this.addLoopback(loopback, loopbackAttachment, signal),
        namespaces.mount(containerId, netns),
      ]);
      return await added;
    } catch (error) {
      await this.undo({ main, loopback }, mainAttachment, loopbackAttachment);
      throw error;
    }
  }

  /**
   * Ends a pod's stored attachments; without any, tries `network`.
   * @throws ShimError; what was not ended stays stored for a retry.
   */
  async detach(
    pod: PodToDetach,
    network: NetworkList | undefined,
    podCidrs: readonly string[],
    options: NetworkCallOptions,
  ): Promise<void> {
    const { store } = this;
    const netns = await this.namespaceOf(pod.id, pod.netnsPath);
    const { attachments, unreadable } = await store.ofPod(pod);
    const mains = attachments.filter((each) => !isLoopback(each));
    const endMains = async () => {
      for (const each of mains) await this.end(each, netns, options);
      if (mains.length === 0) await this.endUnknown(pod, netns, network, podCidrs, options);
    };
    const loopbacks = attachments.filter(isLoopback);
    await settleAll([endMains(), ...loopbacks.map((each) => this.endLoopback(each, netns, options))]);
    for (const name of unreadable) await store.removeFile(name);
  }

  /** Ends the stored attachments of pods that are not valid. @returns The failures. */
  async detachStale(valid: ReadonlySet<string>, options: NetworkCallOptions): Promise<unknown[]> {
    const failures: unknown[] = [];
    for (const attachment of await this.store.stale(valid)) {
      // By now the stored path may be another pod's namespace.
      const netns = await this.namespaceOf(attachment.containerId, undefined);
      await this.end(attachment, netns, options).catch((error: unknown) => failures.push(error));
    }
    return failures;
  }

  private async addMain(
    network: NetworkList,
    attachment: Attachment,
    signal: AbortSignal | undefined,
  ): Promise<Attached> {
    const { lists, store } = this;
    const result = await lists.add(network, attachment, { signal });
    const ips = addressesOf(result, podInterface);
    if (ips.length === 0) throw noAddress(network);
    await store.write(network, attachment, result);
    return { ips, result };
  }

  private async addLoopback(
    network: NetworkList,
    attachment: Attachment,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { lists, store } = this;
    await store.write(network, attachment, await lists.add(network, attachment, { signal }));
  }

  private async end(attachment: StoredAttachment, netns: string, options: NetworkCallOptions): Promise<void> {
    const { lists, store } = this;
    const { network, result } = attachment;
    await lists.delete(network, { ...attachment, netns }, result, options);
    await store.remove(network, attachment);
  }

  /** The interface ends with its namespace: a failure is logged and does not keep the pod. */
  private async endLoopback(
    attachment: StoredAttachment,
    netns: string,
    options: NetworkCallOptions,
  ): Promise<void> {
    const { lists, store, log } = this;
    const { network, containerId } = attachment;
    if (netns !== "") {
      await lists.delete(network, { ...attachment, netns }, undefined, options).catch((error: unknown) => {
        log.warn(
          { pod: containerId, err: messageOf(error) },
          "the CNI loopback plugin could not bring lo down",
        );
      });
    }
    await store.remove(network, attachment);
  }

  /** Deletes what a pod without stored attachments may have in the current network. */
  private async endUnknown(
    pod: PodToDetach,
    netns: string,
    network: NetworkList | undefined,
    podCidrs: readonly string[],
    options: NetworkCallOptions,
  ): Promise<void> {
    const { lists, log } = this;
    log.info({ pod: pod.id, network: network?.name }, "no CNI result is cached: trying the current network");
    if (!network) return;
    const given = { annotations: {}, dns: undefined, podCidrs };
    let capabilities: JsonObject;
    try {
      capabilities = capabilityArgs({ portMappings: pod.portMappings ?? [], ...given });
    } catch (error) {
      log.warn({ pod: pod.id, err: messageOf(error) }, "detaching without port mappings");
      capabilities = capabilityArgs({ portMappings: [], ...given });
    }
    const identity = { containerId: pod.id, ifName: podInterface, args: possiblePodArgs(pod) };
    await lists.delete(network, { ...identity, netns, capabilityArgs: capabilities }, undefined, options);
  }

  /** Undoes a failed attach. What could not be undone stays stored. */
  private async undo(
    { main, loopback }: PodNetworks,
    mainAttachment: Attachment,
    loopbackAttachment: Attachment,
  ) {
    const { lists, store, namespaces, log } = this;
    const { containerId } = mainAttachment;
    const netns = await this.namespaceOf(containerId, mainAttachment.netns);
    const failures = await lists.undo(main, { ...mainAttachment, netns });
    await lists.undo(loopback, { ...loopbackAttachment, netns });
    try {
      await store.remove(loopback, loopbackAttachment);
      if (failures.length === 0) await store.remove(main, mainAttachment);
    } catch (error) {
      failures.push(error);
    }
    if (failures.length === 0) {
      await namespaces.unmount(containerId);
      store.forget(containerId);
      return;
    }
    const err = failures.map(messageOf).join("; ");
    log.warn(
      { pod: containerId, err },
      "could not undo a failed attach: trying again when the pod is stopped",
    );
  }

  /** The path of a pod's namespace: preferably the mount, which is that of ADD, also after the pod's processes have ended. */
  private async namespaceOf(podId: string, netnsPath: string | undefined): Promise<string> {
    return (await this.namespaces.find(podId)) ?? (await this.existing(netnsPath));
  }

  /** The path, or the empty text that means a missing namespace to plugins. */
  private async existing(netnsPath = ""): Promise<string> {
    if (netnsPath === "") return "";
    return (await this.files.kindOf(netnsPath)) === undefined ? "" : netnsPath;
  }
}

function noNamespace(netns: string): ShimError {
  const which = netns === "" ? "" : ` ${netns}`;
  const message = `its network namespace${which} no longer exists: the sandbox has exited`;
  return new ShimError("failed-precondition", message, { operation: "network.attach" });
}

function noAddress(network: NetworkList): ShimError {
  return new ShimError(
    "failed-precondition",
    `network ${network.name} gave the pod no IP address: check "ipam" in its configuration`,
    { operation: "network.attach" },
  );
}
