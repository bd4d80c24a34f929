import {
  abortError,
  fileFailure,
  inject,
  injectable,
  isKind,
  KeyedLock,
  Logger,
  messageOf,
  rememberEncoding,
  settleAll,
  ShimError,
  sleep,
  withDeadline,
} from "../base/index.js";
import { Checkpoints } from "../checkpoint/index.js";
import { ShimConfig } from "../config/index.js";
import {
  Containers,
  createNamed,
  hasLabels,
  readSeccompProfile,
  requireApparmorProfile,
  type HolderJudgement,
} from "../containers/index.js";
import { DockerService, type DockerContainerSpec } from "../docker/index.js";
import {
  PodSandboxSchema,
  PodSandboxState,
  PodSandboxStatusSchema,
  type PodSandbox,
  type PodSandboxConfig,
  type PodSandboxFilter,
  type PodSandboxStatus,
} from "../gen/runtime/v1/api_pb.js";
import { Host } from "../host/index.js";
import { Images } from "../images/index.js";
import { Inventory, type SandboxRecord } from "../inventory/index.js";
import { Network } from "../network/index.js";
import {
  isReady,
  resolvConf,
  sandboxInfo,
  sandboxSpec,
  toPodSandbox,
  toPodSandboxStatus,
} from "../translate/index.js";
import { withinPatience, type Caller } from "./caller.js";
import { checkNetwork } from "./check-network.js";
import { checkpointOf, netnsPathOf, podToAttach } from "./network-pod.js";
import { graceSeconds, ignoringGone, Teardown } from "./teardown.js";

const sweepEveryMs = 60_000;

/** The pods of the node: the container that holds each one's namespaces, and its network. */
@injectable()
export class Sandboxes {
  private readonly locks = new KeyedLock();
  private readonly listed = new WeakMap<SandboxRecord, PodSandbox>();
  private readonly statuses = new WeakMap<
    SandboxRecord,
    { readonly ips: readonly string[]; readonly status: PodSandboxStatus }
  >();
  /** Pods that a call is making now. */
  private readonly making = new Set<string>();
  /** Calls that wait for their turn to make a pod. */
  private readonly waiting = new Set<{ readonly name: string; readonly signal: AbortSignal }>();
  /** Pods whose id a caller of this process has got. */
  private readonly answered = new Set<string>();
  private readonly closed = new AbortController();

  constructor(
    @inject(DockerService) private readonly docker: DockerService,
    @inject(Host) private readonly host: Host,
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(Images) private readonly images: Images,
    @inject(Containers) private readonly containers: Containers,
    @inject(Network) private readonly network: Network,
    @inject(Checkpoints) private readonly checkpoints: Checkpoints,
    @inject(Teardown) private readonly teardown: Teardown,
    @inject(ShimConfig) private readonly config: ShimConfig,
    @inject(Logger) private readonly log: Logger,
  ) {}

  /**
   * Clears up after a crash once the inventory knows what is there, then looks for orphans from time to time,
   * until closed. A pod whose container somebody else removes loses its addresses at once.
   */
  async keepTidy(): Promise<void> {
    const { inventory, network, log } = this;
    const { signal } = this.closed;
    const unsubscribe = inventory.subscribe(({ type, record }) => {
      if (type !== "deleted") return;
      this.answered.delete(record.id);
      if (record.kind === "sandbox") void this.attempt(() => this.afterRemoval(record.id));
    });
    await inventory.whenReady();
    const before = inventory.isReady ? inventory.sandboxes().map(({ id }) => id) : [];
    for (let first = true; !signal.aborted; first = false) {
      await this.attempt(() => this.recover());
      if (first) await this.attempt(() => this.teardown.cleanNetwork());
      await this.attempt(() =>
        this.teardown.sweep((id) => this.making.has(id) || this.containers.isClaimed(id)),
      );
      if (first) await this.attempt(() => checkNetwork(before, { inventory, network, log, signal }));
      await sleep(sweepEveryMs, signal).catch(() => undefined);
    }
    unsubscribe();
  }

  /** Ends {@link Sandboxes.keepTidy}. */
  close(): void {
    this.closed.abort();
  }

  /**
   * Makes a pod. A later step that fails undoes the earlier ones. The work goes on when the caller goes; the
   * pod is then given to a retry that waits for its turn, or removed before the next one gets it.
   * @returns Its full id.
   */
  async run(config: PodSandboxConfig | undefined, runtimeHandler: string, caller: Caller): Promise<string> {
    if (!config) throw new ShimError("invalid-argument", "RunPodSandbox: config is missing");
    const environment = this.inventory.environment();
    const context = config.linux?.securityContext;
    const { host, inventory, log, config: shimConfig } = this;
    const field = "config.linux.security_context";
    await requireApparmorProfile(context, field, { host, inventory, log, config: shimConfig });
    const seccompProfile = await readSeccompProfile(context, this.host);
    const spec = sandboxSpec(config, runtimeHandler, this.config.sandboxImage, environment, {
      seccompProfile,
    });
    const { signal } = caller;
    const waiting = { name: spec.name, signal };
    this.waiting.add(waiting);
    return withDeadline("RunPodSandbox", { signal }, () =>
      this.locks.run(spec.name, () => {
        this.waiting.delete(waiting);
        return this.makeFor(spec, config, caller);
      }),
    );
  }

  /** Stops what runs in a pod and gives its addresses back; a pod that is gone is a success. */
  async stop(id: string, signal: AbortSignal): Promise<void> {
    const full = await this.idToEnd(id);
    if (full === undefined) return;
    await this.locks.run(full, async () => {
      await Promise.all(
        this.inventory
          .workloadsOf(full)
          .map((container) => this.containers.stop(container.id, { graceSeconds, signal })),
      );
      // With its namespace held, the sandbox may end while the plugins still work in it.
      const held = await this.holdNamespace(full);
      const detaching = this.teardown.detach(full, { signal });
      if (!held) await detaching;
      await settleAll([detaching, this.stopSandbox(full, signal)]);
      // Without a container there is nothing left that a later call could end.
      if (!this.inventory.record(full)) await this.checkpoints.remove(full);
    });
  }

  private async holdNamespace(id: string): Promise<boolean> {
    const record = this.inventory.record(id);
    const netnsPath = record?.kind === "sandbox" ? netnsPathOf(record) : undefined;
    return netnsPath !== undefined && (await this.network.holdNamespace(id, netnsPath));
  }

  private async stopSandbox(id: string, signal: AbortSignal): Promise<void> {
    if (!this.inventory.record(id)?.docker.state.running) return;
    const stop = () => this.docker.containers.stop(id, { graceSeconds, signal });
    await ignoringGone(this.inventory.change(id, "exited", stop));
  }

  /** Removes a pod and all in it, running or not; one that is gone is a success. */
  async remove(id: string, signal: AbortSignal): Promise<void> {
    const full = await this.idToEnd(id);
    if (full === undefined) return;
    await this.locks.run(full, () => this.teardown.remove(full, signal));
  }

  async list(filter: PodSandboxFilter | undefined): Promise<PodSandbox[]> {
    await this.inventory.allConfirmed();
    const found: PodSandbox[] = [];
    for (const record of this.inventory.sandboxes()) {
      const message = this.message(record);
      const matches =
        !filter ||
        (record.id.startsWith(filter.id) &&
          (filter.state === undefined || filter.state.state === message.state) &&
          hasLabels(record.labels, filter.labelSelector));
      if (matches) found.push(message);
    }
    return found;
  }

  async status(
    id: string,
    { verbose }: { readonly verbose: boolean },
  ): Promise<{ status: PodSandboxStatus; info: Record<string, string> }> {
    const asked = this.inventory.sandbox(id);
    await this.inventory.confirmed(asked.id);
    const record = this.inventory.sandbox(asked.id);
    return { status: this.statusOf(record), info: verbose ? sandboxInfo(record.docker) : {} };
  }

  /** The status of a record that the caller holds already. */
  statusOf(record: SandboxRecord): PodSandboxStatus {
    const ips = this.ips(record);
    const known = this.statuses.get(record);
    // The addresses come and go without a change of the container.
    if (known && known.ips.join() === ips.join()) return known.status;
    const { defaultRuntime } = this.inventory.engine().info;
    const status = toPodSandboxStatus(record.docker, { ips, defaultRuntime, identity: record });
    if (record.processGone) status.state = PodSandboxState.SANDBOX_NOTREADY;
    this.statuses.set(record, { ips, status: rememberEncoding(PodSandboxStatusSchema, status) });
    return status;
  }

  /**
   * Takes note of a pod's new resources. The kubelet sets the limits of the pod's cgroup itself, and the
   * sandbox container has none of its own: nothing in Docker changes.
   * @throws ShimError "not-found".
   */
  updateResources(id: string): void {
    this.inventory.sandbox(id);
  }

  /** Looks at every pod on record, and clears up those that came to no end. */
  private async recover(): Promise<void> {
    for (const id of await this.checkpoints.ids()) {
      await this.attempt(() =>
        this.locks.run(id, async () => {
          if (!this.making.has(id)) await this.teardown.recover(id);
        }),
      );
    }
  }

  /** Does what is left to do when a pod's container is removed, which is nothing if the removal was ours. */
  private async afterRemoval(id: string): Promise<void> {
    await this.locks.run(id, async () => {
      const onRecord = !this.making.has(id) && (await this.checkpoints.ids()).includes(id);
      if (onRecord) await this.teardown.recover(id);
    });
  }

  /** Work that nobody waits for: its failure is said, and what is left is tried again with the next sweep. */
  private async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.log.warn({ err: messageOf(error) }, "could not clear up; it is tried again");
    }
  }

  private async makeFor(
    spec: DockerContainerSpec,
    config: PodSandboxConfig,
    caller: Caller,
  ): Promise<string> {
    const { name } = spec;
    const { signal } = caller;
    const hasGone = () => signal.aborted;
    if (hasGone()) throw abortError("RunPodSandbox", signal.reason);
    try {
      const id = await this.make(spec, config, caller);
      if (!hasGone()) this.answered.add(id);
      else if (!this.isAwaited(name)) await this.teardown.undo(id, "its caller has gone");
      return id;
    } catch (error) {
      if (hasGone()) this.log.warn({ err: error, name }, "a pod whose caller has gone failed");
      throw error;
    }
  }

  /** Whether another call waits for its turn to make the pod of this name. */
  private isAwaited(name: string): boolean {
    return [...this.waiting].some((call) => call.name === name && !call.signal.aborted);
  }

  private async make(spec: DockerContainerSpec, config: PodSandboxConfig, caller: Caller): Promise<string> {
    await withinPatience(caller, (signal) => this.images.ensureSandboxImage(signal));
    const { id, adopted } = await createNamed(spec, {
      docker: this.docker,
      inventory: this.inventory,
      log: this.log,
      deadlineMs: this.config.runtimeRequestTimeoutMs,
      judge: (holder) => this.judge(holder),
      removeLeftover: (leftover) => this.locks.run(leftover, () => this.teardown.remove(leftover)),
    });
    if (adopted) return id;
    this.making.add(id);
    try {
      await this.bringUp(id, spec, config);
    } catch (error) {
      await this.teardown.undo(id, messageOf(error));
      throw error;
    } finally {
      this.making.delete(id);
    }
    return id;
  }

  /** Whether a pod that runs is whole, if no caller of this process knows of it: its maker ended before it could say. */
  private async judge(id: string): Promise<HolderJudgement | undefined> {
    if (this.answered.has(id) || this.making.has(id)) return undefined;
    const record = await this.inventory.refresh(id);
    if (record?.kind !== "sandbox" || !isReady(record.docker)) return undefined;
    const checkpoint = await this.checkpoints.read(id);
    return checkpoint && (checkpoint.unfinished ? "unfinished" : "whole");
  }

  private async bringUp(id: string, spec: DockerContainerSpec, config: PodSandboxConfig): Promise<void> {
    const hostNetwork = spec.host.networkMode === "host";
    const checkpoint = checkpointOf(config, hostNetwork);
    await this.checkpoints.write(id, checkpoint);
    await this.inventory.change(id, "running", () => this.docker.containers.start(id));
    const record = await this.inventory.refresh(id);
    if (record?.kind !== "sandbox" || !record.docker.state.running) {
      throw new ShimError("unavailable", `the sandbox container ${id} ended as soon as it was started`);
    }
    await this.writeResolvConf(record, config);
    if (!hostNetwork) await this.network.attach(podToAttach(record, checkpoint, config), {});
    await this.checkpoints.write(id, { ...checkpoint, unfinished: false });
  }

  /** Docker wrote its own resolv.conf; the pod's goes into the same file, which the containers share. */
  private async writeResolvConf({ docker }: SandboxRecord, config: PodSandboxConfig): Promise<void> {
    const text = config.dnsConfig && resolvConf(config.dnsConfig);
    if (text === undefined || !docker.resolvConfPath) return;
    try {
      await this.host.files.overwrite(docker.resolvConfPath, text);
    } catch (error) {
      throw fileFailure(`cannot write the pod's resolv.conf ${docker.resolvConfPath}`, error);
    }
  }

  private ips(record: SandboxRecord): readonly string[] {
    if (record.docker.host.networkMode === "host" || !isReady(record.docker)) return [];
    const cached = this.network.cachedIps(record.id);
    if (cached) return cached;
    return record.docker.networks.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6].filter((ip) => ip !== undefined));
  }

  private message(record: SandboxRecord): PodSandbox {
    let message = this.listed.get(record);
    if (!message) {
      const { defaultRuntime } = this.inventory.engine().info;
      message = toPodSandbox(record.docker, { defaultRuntime, identity: record });
      if (record.processGone) message.state = PodSandboxState.SANDBOX_NOTREADY;
      this.listed.set(record, rememberEncoding(PodSandboxSchema, message));
    }
    return message;
  }

  /** The full id of a pod to end; undefined when nothing is left of it. */
  private async idToEnd(id: string): Promise<string | undefined> {
    try {
      return this.inventory.sandbox(id).id;
    } catch (error) {
      if (!isKind(error, "not-found") || this.inventory.record(id) !== undefined) throw error;
      // The container can be gone while its pod's containers are there and its addresses are held.
      if (this.inventory.workloadsOf(id).length > 0) return id;
      return (await this.checkpoints.ids()).find((known) => known === id);
    }
  }
}
