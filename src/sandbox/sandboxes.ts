import { deepFreeze, inject, injectable, isKind } from "../base/index.js";
import { Checkpoints } from "../checkpoint/index.js";
import { hasLabels } from "../containers/index.js";
import {
  PodSandboxState,
  type PodSandbox,
  type PodSandboxConfig,
  type PodSandboxFilter,
  type PodSandboxStatus,
} from "../gen/runtime/v1/api_pb.js";
import { Inventory, type SandboxRecord } from "../inventory/index.js";
import { Network } from "../network/index.js";
import { isReady, sandboxInfo, toPodSandbox, toPodSandboxStatus } from "../translate/index.js";
import { SandboxCreator, type Caller } from "./sandbox-creator.js";
import { Teardown } from "./teardown.js";

/** The pods of the node: the container that holds each one's namespaces, and its network. */
@injectable()
export class Sandboxes {
  private readonly listed = new WeakMap<
    SandboxRecord,
    { readonly isComplete: boolean; readonly message: PodSandbox }
  >();
  private readonly statuses = new WeakMap<
    SandboxRecord,
    { readonly ips: readonly string[]; readonly isComplete: boolean; readonly status: PodSandboxStatus }
  >();

  constructor(
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(Network) private readonly network: Network,
    @inject(Checkpoints) private readonly checkpoints: Checkpoints,
    @inject(SandboxCreator) private readonly creator: SandboxCreator,
    @inject(Teardown) private readonly teardown: Teardown,
  ) {}

  /** Creates a pod. @see SandboxCreator.run */
  run(config: PodSandboxConfig | undefined, runtimeHandler: string, caller: Caller): Promise<string> {
    return this.creator.run(config, runtimeHandler, caller);
  }

  /** Stops a pod's containers and releases its addresses; succeeds if the pod does not exist. */
  async stop(id: string, signal: AbortSignal): Promise<void> {
    const full = await this.idToEnd(id);
    if (full !== undefined) await this.teardown.stop(full, signal);
  }

  /** Removes a pod with its containers, running or not; succeeds if it does not exist. */
  async remove(id: string, signal: AbortSignal): Promise<void> {
    const full = await this.idToEnd(id);
    if (full !== undefined) await this.teardown.remove(full, signal);
  }

  list(filter: PodSandboxFilter | undefined): PodSandbox[] {
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

  status(
    id: string,
    { verbose }: { readonly verbose: boolean },
  ): { status: PodSandboxStatus; info: Record<string, string> } {
    const record = this.inventory.sandbox(id);
    return { status: this.statusOf(record), info: verbose ? sandboxInfo(record.docker) : {} };
  }

  /** The status of a record. */
  statusOf(record: SandboxRecord): PodSandboxStatus {
    const ips = this.ips(record);
    const known = this.statuses.get(record);
    // The addresses change without a change of the container.
    const isComplete = this.isComplete(record);
    if (known?.isComplete === isComplete && known.ips.join() === ips.join()) return known.status;
    const { defaultRuntime } = this.inventory.engine().info;
    const status = toPodSandboxStatus(record.docker, { ips, defaultRuntime, identity: record });
    if (!isComplete) status.state = PodSandboxState.SANDBOX_NOTREADY;
    this.statuses.set(record, { ips, isComplete, status: deepFreeze(status) });
    return status;
  }

  /**
   * Accepts a pod's new resources. The kubelet sets the limits of the pod's cgroup itself, and the sandbox container has
   * none: nothing changes in Docker.
   * @throws ShimError "not-found".
   */
  updateResources(id: string): void {
    this.inventory.sandbox(id);
  }

  private ips(record: SandboxRecord): readonly string[] {
    if (record.docker.host.networkMode === "host" || !isReady(record.docker)) return [];
    const cached = this.network.cachedIps(record.id);
    if (cached) return cached;
    return record.docker.networks.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6].filter((ip) => ip !== undefined));
  }

  /** Resolves when the call that creates this pod has ended; undefined if there is none. */
  whenCreated(id: string): Promise<void> | undefined {
    return this.creator.whenCreated(id);
  }

  private message(record: SandboxRecord): PodSandbox {
    const isComplete = this.isComplete(record);
    const known = this.listed.get(record);
    if (known?.isComplete === isComplete) return known.message;
    const { defaultRuntime } = this.inventory.engine().info;
    const message = toPodSandbox(record.docker, { defaultRuntime, identity: record });
    if (!isComplete) message.state = PodSandboxState.SANDBOX_NOTREADY;
    this.listed.set(record, { isComplete, message: deepFreeze(message) });
    return message;
  }

  /**
   * False while a call is creating the pod, and when its process is gone. A kubelet replaces a pod that it has once seen
   * ready without an address, so it must not see one before its network is set up.
   */
  private isComplete(record: SandboxRecord): boolean {
    return !record.processGone && !this.creator.isCreating(record.id);
  }

  /** The full id of a pod to stop or remove; undefined when nothing is left of it. */
  private async idToEnd(id: string): Promise<string | undefined> {
    try {
      return this.inventory.sandbox(id).id;
    } catch (error) {
      if (!isKind(error, "not-found") || this.inventory.record(id) !== undefined) throw error;
      // The sandbox container may have been removed while the pod still has containers or addresses.
      if (this.inventory.workloadsOf(id).length > 0) return id;
      return (await this.checkpoints.ids()).find((known) => known === id);
    }
  }
}
