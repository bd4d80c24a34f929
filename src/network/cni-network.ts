import { KeyedLock, messageOf, ShimError, abortError, type Logger } from "../base/index.js";
import type { ShimConfig } from "../config/index.js";
import type { Host } from "../host/index.js";
import { checkContainerId, podArgs, podInterface } from "./cni/attachment.js";
import { AttachmentStore, isLoopback } from "./cni/attachment-store.js";
import { capabilityArgs, undeclared } from "./cni/capabilities.js";
import type { JsonObject } from "./cni/json.js";
import { ListRunner } from "./cni/list-runner.js";
import { NamespaceMounts } from "./cni/namespace-mounts.js";
import { NetworkSource } from "./cni/network-source.js";
import { PluginRunner } from "./cni/plugin-runner.js";
import { PodAttacher, type PodNetworks } from "./cni/pod-attacher.js";
import { PodCidrs } from "./cni/pod-cidrs.js";
import { SharedLock } from "./cni/shared-lock.js";
import type {
  Network,
  NetworkAttachment,
  NetworkCallOptions,
  NetworkStatus,
  PodIdentity,
  PodToAttach,
  PodToCheck,
  PodToDetach,
} from "./network.js";

/** How long GC waits until no attach or detach call is under way. */
const gcPatienceMs = 60_000;

/**
 * Runs CNI plugins.
 * @see CNI SPEC 1.1.0
 */
export class CniNetwork implements Network {
  readonly sandboxNetworkMode = "none";
  private readonly source: NetworkSource;
  private readonly store: AttachmentStore;
  private readonly attacher: PodAttacher;
  private readonly plugins: PluginRunner;
  private readonly lists: ListRunner;
  private readonly cidrs: PodCidrs;
  private readonly namespaces: NamespaceMounts;
  private readonly podLocks = new KeyedLock();
  /** Shared by attach and detach; GC must not run beside them. @see CNI SPEC, "Lifecycle & Ordering" */
  private readonly lock = new SharedLock();
  private readonly log: Logger;
  private started: Promise<void> | undefined;

  /**
   * @param intervalMs How often the configuration is read and the plugins are asked for their status, in milliseconds.
   * @throws ShimError "invalid-argument" when the configured pod CIDR is not one.
   */
  constructor(host: Host, config: ShimConfig["network"], log: Logger, intervalMs = 5_000) {
    const { files } = host;
    const { cniBinDirs: binDirs, cniTimeoutMs: timeoutMs, cniCacheDir, cniConfDir: directory } = config;
    const plugins = new PluginRunner(host, binDirs, timeoutMs);
    const lists = new ListRunner(plugins);
    const store = new AttachmentStore(files, cniCacheDir, log);
    const namespaces = new NamespaceMounts(host, cniCacheDir, log);
    this.log = log;
    this.plugins = plugins;
    this.lists = lists;
    this.store = store;
    this.namespaces = namespaces;
    this.cidrs = new PodCidrs(files, cniCacheDir, config.podCidr, log);
    this.source = new NetworkSource({ files, directory, plugins, lists, intervalMs, log });
    this.attacher = new PodAttacher(lists, store, namespaces, files, log);
  }

  start(): Promise<void> {
    this.started ??= this.begin();
    return this.started;
  }

  async close(): Promise<void> {
    await this.source.close();
  }

  status(): NetworkStatus {
    const networkName = this.source.network?.name;
    const problem = this.problem() ?? this.source.pluginProblem;
    const known = networkName === undefined ? {} : { networkName };
    if (problem === undefined) return { ready: true, ...known };
    const message = `docker: network plugin is not ready: ${problem}`;
    return { ready: false, reason: "NetworkPluginNotReady", message, ...known };
  }

  attach(pod: PodToAttach, options: NetworkCallOptions): Promise<NetworkAttachment> {
    return this.forPod(pod, "set up", options, async () => {
      const { id, netnsPath, annotations, portMappings, dns } = pod;
      const args = podArgs(pod);
      const networks = await this.networks();
      const podCidrs = this.cidrs.current;
      const capabilities = capabilityArgs({ portMappings, annotations, dns, podCidrs });
      const attachment = { containerId: id, netns: netnsPath, args, capabilityArgs: capabilities };
      await this.store.reserve(attachment);
      this.logUndeclared(pod, networks, capabilities);
      const attached = await this.attacher.attach(networks, attachment, options);
      this.store.attached(id, attached.ips);
      return attached;
    });
  }

  detach(pod: PodToDetach, options: NetworkCallOptions): Promise<void> {
    return this.forPod(pod, "teardown", options, async () => {
      if (!this.store.isDetached(pod.id)) {
        if (!this.source.network) await this.source.look();
        await this.attacher.detach(pod, this.source.network, this.cidrs.current, options);
        this.store.forget(pod.id);
      }
      await this.namespaces.unmount(pod.id);
    });
  }

  holdNamespace(podId: string, netnsPath: string): Promise<boolean> {
    return this.podLocks.run(podId, async () => {
      if (this.store.isDetached(podId)) return false;
      await this.namespaces.mount(podId, netnsPath);
      return (await this.namespaces.find(podId)) !== undefined;
    });
  }

  check(pod: PodToCheck, options: NetworkCallOptions): Promise<void> {
    return this.forPod(pod, "check", options, async () => {
      const { attachments } = await this.store.ofPod(pod);
      const main = attachments.find((each) => !isLoopback(each) && each.result !== undefined);
      if (!main?.result) {
        const message = "the pod was not attached by this runtime: no CNI result is cached";
        throw new ShimError("failed-precondition", message);
      }
      await this.lists.check(main.network, { ...main, netns: pod.netnsPath }, main.result, options);
    });
  }

  async gc(validPodIds: Iterable<string>, options: NetworkCallOptions): Promise<void> {
    const given = [...validPodIds];
    const failures = await this.lock.hold("network.gc", gcPatienceMs, async () => {
      const valid = new Set([...given, ...this.store.attachedHere]);
      const failed = await this.attacher.detachStale(valid, options);
      await this.removeUnusedMounts();
      await this.store.load();
      const { network } = this.source;
      if (!network || network.disableGc) return failed;
      const attachments = [...valid].map((containerID) => ({ containerID, ifname: podInterface }));
      return [...failed, ...(await this.lists.gc(network, attachments, options))];
    });
    if (failures.length === 0) return;
    throw new ShimError("failed-precondition", `network cleanup: ${failures.map(messageOf).join("; ")}`, {
      operation: "network.gc",
      cause: failures[0],
    });
  }

  setPodCidr(cidr: string): Promise<void> {
    return this.cidrs.set(cidr);
  }

  cachedIps(podId: string): readonly string[] | undefined {
    return this.store.ipsOf(podId);
  }

  private async begin(): Promise<void> {
    await this.store.start();
    await this.cidrs.start();
    const killed = await this.plugins.killLeftRunning(await this.storedIds());
    if (killed > 0) this.log.warn({ killed }, "killed CNI plugins left running by an earlier process");
    await this.removeUnusedMounts();
    await this.source.start();
  }

  /** Removes mounts that a killed process has left behind. */
  private async removeUnusedMounts(): Promise<void> {
    await this.namespaces.sweep(await this.storedIds());
  }

  private async storedIds(): Promise<Set<string>> {
    return new Set((await this.store.mains()).map(({ containerId }) => containerId));
  }

  /** Some networks map ports and shape traffic without CNI's capabilities, so this is no error. */
  private logUndeclared(pod: PodIdentity, { main }: PodNetworks, args: JsonObject): void {
    const capabilities = undeclared(main.plugins, args);
    if (capabilities.length === 0) return;
    const what = { pod: `${pod.name}_${pod.namespace}`, network: main.name, capabilities };
    this.log.info(what, "no CNI plugin of the network has the capabilities that the pod asks for");
  }

  /** The networks that pods join now. @throws ShimError "unavailable" when there are none. */
  private async networks(): Promise<PodNetworks> {
    if (!this.source.network) await this.source.look();
    const problem = this.problem();
    const { network, loopback } = this.source;
    if (problem === undefined && network && loopback) return { main: network, loopback };
    throw new ShimError("unavailable", `network plugin is not ready: ${problem ?? "no network"}`);
  }

  /** Why pods cannot join; undefined when they can. */
  private problem(): string | undefined {
    const { network, problem } = this.source;
    if (problem !== undefined) return problem;
    const asking = network?.plugins.find(({ capabilities }) => capabilities.has("ipRanges"));
    if (!asking || this.cidrs.current.length > 0) return undefined;
    return (
      `cni config needs ipRanges but no PodCIDR set: plugin ${asking.type} asks for the node's pod CIDR, which ` +
      "comes from kubelet once the node has one, or from the configuration"
    );
  }

  /** Runs `work` under the pod's lock. @throws ShimError that names the pod. */
  private async forPod<T>(
    pod: PodIdentity,
    what: "set up" | "teardown" | "check",
    { signal }: NetworkCallOptions,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      checkContainerId(pod.id);
      return await this.podLocks.run(pod.id, () =>
        this.lock.share(() => {
          if (signal?.aborted) throw abortError(`network ${what}`, signal.reason);
          return work();
        }),
      );
    } catch (error) {
      const kind = error instanceof ShimError ? error.kind : "internal";
      const message = `networkPlugin cni failed to ${what} pod "${pod.name}_${pod.namespace}" network: ${messageOf(error)}`;
      throw new ShimError(kind, message, { operation: `network.${what}`, cause: error });
    }
  }
}
