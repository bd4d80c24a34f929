import { inject, injectable, isKind, KeyedLock, Logger, messageOf, settleAll } from "../base/index.js";
import { Checkpoints } from "../checkpoint/index.js";
import { Containers, removeContainer } from "../containers/index.js";
import { DockerService } from "../docker/index.js";
import { Inventory, type SandboxRecord } from "../inventory/index.js";
import { Network, type NetworkCallOptions } from "../network/index.js";
import { netnsPathOf, podToDetach } from "./network-pod.js";

/** How long the containers of a pod have to end by themselves. */
const graceSeconds = 10;

/** Stops and removes pods: on request, after a failure, and after a crash. Work on one pod is serialised. */
@injectable()
export class Teardown {
  private readonly locks = new KeyedLock();

  constructor(
    @inject(DockerService) private readonly docker: DockerService,
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(Checkpoints) private readonly checkpoints: Checkpoints,
    @inject(Containers) private readonly containers: Containers,
    @inject(Network) private readonly network: Network,
    @inject(Logger) private readonly log: Logger,
  ) {}

  /** Stops a pod's containers and releases its addresses. */
  stop(id: string, signal: AbortSignal): Promise<void> {
    return this.locks.run(id, async () => {
      await this.stopWorkloads(id, signal);
      // The namespace is mounted, so the sandbox can stop while the plugins still use it.
      const held = await this.holdNamespace(id);
      const detaching = this.detach(id, { signal });
      if (!held) await detaching;
      await settleAll([detaching, this.stopSandbox(id, signal)]);
      // Without a container there is nothing left for a later call.
      if (!this.inventory.record(id)) await this.checkpoints.remove(id);
    });
  }

  /** Removes a pod with its containers, in whatever state. */
  remove(id: string, signal?: AbortSignal): Promise<void> {
    return this.locks.run(id, () => this.removeAll(id, signal));
  }

  /** Removes what a failed or abandoned RunPodSandbox has created; a failure is logged. */
  undo(id: string, why: string): Promise<void> {
    return this.locks.run(id, () => this.undoCreation(id, why));
  }

  /**
   * Cleans up a pod with a checkpoint. A pod whose creation did not finish is removed. If its sandbox container no longer
   * exists, its containers are stopped and its addresses released.
   * @param isCreating True while a call is creating the pod.
   */
  recover(id: string, isCreating: (id: string) => boolean): Promise<void> {
    return this.locks.run(id, async () => {
      if (isCreating(id) || !(await this.checkpoints.ids()).includes(id)) return;
      if (!this.record(id)) await this.release(id);
      else if ((await this.checkpoints.read(id))?.unfinished)
        await this.undoCreation(id, "its creation did not finish");
    });
  }

  private async removeAll(id: string, signal?: AbortSignal): Promise<void> {
    await Promise.all(
      this.inventory.workloadsOf(id).map((container) => this.containers.remove(container.id)),
    );
    await this.detach(id, { signal });
    await removeContainer(this.docker, id);
    this.inventory.removed(id);
    await this.checkpoints.remove(id);
  }

  private async undoCreation(id: string, why: string): Promise<void> {
    this.log.warn({ sandbox: id, why }, "undoing a pod");
    try {
      // Marked first: if this fails halfway, a retry must not adopt the rest.
      const checkpoint = await this.checkpoints.read(id);
      if (checkpoint && !checkpoint.unfinished)
        await this.checkpoints.write(id, { ...checkpoint, unfinished: true });
      await this.removeAll(id);
    } catch (error) {
      this.log.error({ sandbox: id, err: messageOf(error) }, "could not undo a pod, trying again later");
    }
  }

  private async release(id: string): Promise<void> {
    this.log.warn({ sandbox: id }, "a sandbox container was removed by another program: cleaning up its pod");
    await this.stopWorkloads(id, new AbortController().signal);
    await this.detach(id);
    await this.checkpoints.remove(id);
  }

  private async stopWorkloads(id: string, signal: AbortSignal): Promise<void> {
    await Promise.all(
      this.inventory.workloadsOf(id).map((each) => this.containers.stop(each.id, { graceSeconds, signal })),
    );
  }

  private async stopSandbox(id: string, signal: AbortSignal): Promise<void> {
    if (!this.record(id)?.docker.state.running) return;
    try {
      await this.docker.containers.stop(id, { graceSeconds, signal });
    } catch (error) {
      if (!isKind(error, "not-found")) throw error;
    } finally {
      await this.inventory.refresh(id);
    }
  }

  private async holdNamespace(id: string): Promise<boolean> {
    const record = this.record(id);
    const netnsPath = record && netnsPathOf(record);
    return netnsPath !== undefined && (await this.network.holdNamespace(id, netnsPath));
  }

  /** Releases a pod's addresses; one without any is a success. */
  private async detach(id: string, options: NetworkCallOptions = {}): Promise<void> {
    const record = this.record(id);
    if (this.network.sandboxNetworkMode !== "none" || record?.docker.host.networkMode === "host") return;
    const checkpoint = await this.checkpoints.read(id);
    if (!record && checkpoint?.hostNetwork === true) return;
    await this.network.detach(podToDetach(id, record, checkpoint), options);
  }

  private record(id: string): SandboxRecord | undefined {
    const record = this.inventory.record(id);
    return record?.kind === "sandbox" ? record : undefined;
  }
}
