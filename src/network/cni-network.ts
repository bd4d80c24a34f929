import { KeyedLock, messageOf, ShimError, abortError, type Logger } from "../base/index.js";
import type { ShimConfig } from "../config/index.js";
import type { Host } from "../host/index.js";
import { checkContainerId, podArgs, podInterface } from "./cni/attachment.js";
import { capabilityArgs, undeclared } from "./cni/capabilities.js";
import type { JsonObject } from "./cni/json.js";
import { Connections, type PodNetworks } from "./cni/connections.js";
import { KeptNamespaces } from "./cni/kept-namespaces.js";
import { ListRunner } from "./cni/list-runner.js";
import { NetworkSource } from "./cni/network-source.js";
import { PluginRunner } from "./cni/plugin-runner.js";
import { PodCidrs } from "./cni/pod-cidrs.js";
import { PodLedger } from "./cni/pod-ledger.js";
import { PodRecords } from "./cni/pod-records.js";
import { ResultCache } from "./cni/result-cache.js";
import { UseOrClean } from "./cni/use-or-clean.js";
import type {
  DetachOptions,
  Network,
  NetworkAttachment,
  NetworkCallOptions,
  NetworkStatus,
  PodIdentity,
  PodToAttach,
  PodToCheck,
  PodToDetach,
} from "./network.js";

/** What {@link CniNetwork} is made with. */
export interface CniNetworkOptions {
  readonly host: Host;
  readonly config: ShimConfig["network"];
  readonly log: Logger;
  /** How often to look at the configuration, and ask the plugins, in milliseconds; 5 s by default. */
  readonly intervalMs?: number;
}

/** How long a clean-up waits for a moment without attach and detach calls. */
const gcPatienceMs = 60_000;

/**
 * Runs CNI plugins.
 * @see CNI SPEC 1.1.0
 */
export class CniNetwork implements Network {
  readonly sandboxNetworkMode = "none";
  private readonly source: NetworkSource;
  private readonly connections: Connections;
  private readonly cache: ResultCache;
  private readonly records: PodRecords;
  private readonly plugins: PluginRunner;
  private readonly lists: ListRunner;
  private readonly cidrs: PodCidrs;
  private readonly ledger: PodLedger;
  private readonly kept: KeptNamespaces;
  private readonly locks = new KeyedLock();
  private readonly gate = new UseOrClean();
  private readonly log: Logger;
  private started: Promise<void> | undefined;

  /** @throws ShimError "invalid-argument" when the configured pod CIDR makes no sense. */
  constructor({ host, config, log, intervalMs = 5_000 }: CniNetworkOptions) {
    const { files } = host;
    this.log = log;
    const { cniBinDirs: binDirs, cniTimeoutMs: timeoutMs } = config;
    const plugins = new PluginRunner({ host, binDirs, timeoutMs });
    this.plugins = plugins;
    this.lists = new ListRunner(plugins);
    this.cidrs = new PodCidrs(files, config.cniCacheDir, config.podCidr, log);
    this.cache = new ResultCache(files, config.cniCacheDir, log);
    this.source = new NetworkSource({
      files,
      directory: config.cniConfDir,
      plugins,
      lists: this.lists,
      intervalMs,
      log,
    });
    this.records = new PodRecords(this.cache);
    this.ledger = new PodLedger(files, this.records);
    this.kept = new KeptNamespaces(host, config.cniCacheDir, log);
    const { lists, cache, records, kept } = this;
    this.connections = new Connections({ lists, cache, records, kept, files, log });
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
    return this.alone(pod, "set up", options, async () => {
      const { id, netnsPath, annotations, portMappings, dns } = pod;
      const args = podArgs(pod);
      const networks = await this.networks();
      const podCidrs = this.cidrs.current;
      const capabilities = capabilityArgs({ portMappings, annotations, dns, podCidrs });
      const attachment = { containerId: id, netns: netnsPath, args, capabilityArgs: capabilities };
      await this.ledger.connecting(attachment);
      this.tellUndeclared(pod, networks, capabilities);
      const made = await this.connections.connect(networks, attachment, {
        signal: options.signal,
        onUndone: () => {
          this.ledger.disconnected(id);
        },
      });
      this.ledger.connected(id, made.ips);
      return made;
    });
  }

  detach(pod: PodToDetach, { onNamespaceKept, ...options }: DetachOptions): Promise<void> {
    return this.alone(pod, "teardown", options, async () => {
      const { id, netnsPath } = pod;
      if (!this.ledger.isDisconnected(id)) {
        if (!this.source.network) await this.source.look();
        // It is kept already, unless the pod was connected by cri-dockerd or an earlier version.
        if (onNamespaceKept) await this.kept.keep(id, netnsPath);
        if ((await this.kept.find(id)) !== undefined) onNamespaceKept?.();
        await this.connections.disconnect(pod, this.source.network, this.cidrs.current, options);
        this.ledger.disconnected(id);
      }
      await this.kept.release(id);
    });
  }

  check(pod: PodToCheck, options: NetworkCallOptions): Promise<void> {
    return this.alone(pod, "check", options, async () => {
      const { mains } = await this.records.ofPod(pod);
      const made = mains.find(({ result }) => result !== undefined);
      if (!made?.result) {
        throw new ShimError(
          "failed-precondition",
          "it was not connected by this runtime: no result is cached",
        );
      }
      const { list, entry, result } = made;
      await this.kept.keep(pod.id, pod.netnsPath);
      await this.lists.check(list, { ...entry, netns: pod.netnsPath }, result, options);
    });
  }

  async gc(validPodIds: Iterable<string>, options: NetworkCallOptions): Promise<void> {
    const given = [...validPodIds];
    const failures = await this.gate.clean("network.gc", gcPatienceMs, async () => {
      const valid = new Set([...given, ...this.ledger.connectedHere]);
      const failed = await this.connections.endStale(valid, options);
      await this.letGo();
      await this.ledger.restore();
      const { network } = this.source;
      if (!network || network.disableGc) return failed;
      const attachments = [...valid].map((containerID) => ({ containerID, ifname: podInterface }));
      return [...failed, ...(await this.lists.gc(network, attachments, options))];
    });
    if (failures.length === 0) return;
    throw new ShimError("failed-precondition", `network clean-up: ${failures.map(messageOf).join("; ")}`, {
      operation: "network.gc",
      cause: failures[0],
    });
  }

  setPodCidr(cidr: string): Promise<void> {
    return this.cidrs.set(cidr);
  }

  cachedIps(podId: string): readonly string[] | undefined {
    return this.ledger.ips(podId);
  }

  private async begin(): Promise<void> {
    await this.cache.start();
    await this.cidrs.start();
    await this.endLeftRunning();
    await this.letGo();
    await this.ledger.restore();
    await this.source.start();
  }

  /** Lets the namespaces go of pods that a killed process had disconnected. */
  private async letGo(): Promise<void> {
    await this.kept.sweep(await this.idsOnRecord());
  }

  private async idsOnRecord(): Promise<Set<string>> {
    return new Set((await this.records.connected()).map(({ entry }) => entry.containerId));
  }

  /** A process that was killed in the middle of a plugin's run leaves the plugin running. */
  private async endLeftRunning(): Promise<void> {
    const killed = await this.plugins.killLeftRunning(await this.idsOnRecord());
    if (killed > 0) this.log.warn({ killed }, "killed CNI plugins that an earlier process had left running");
  }

  /** Some networks map ports and shape traffic without being told through CNI, so this is no error. */
  private tellUndeclared(pod: PodIdentity, { main }: PodNetworks, args: JsonObject): void {
    const missing = undeclared(main.plugins, args);
    if (missing.length === 0) return;
    const what = { pod: `${pod.name}_${pod.namespace}`, network: main.name, capabilities: missing };
    this.log.info(what, "the pod asks for what no CNI plugin of its network declares");
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

  /** Runs `work` while nothing else is done to the pod. @throws ShimError that names the pod. */
  private async alone<T>(
    pod: PodIdentity,
    what: "set up" | "teardown" | "check",
    { signal }: NetworkCallOptions,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      checkContainerId(pod.id);
      return await this.locks.run(pod.id, () =>
        this.gate.use(() => {
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
