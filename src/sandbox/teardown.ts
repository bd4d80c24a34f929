import { isKind, Logger, messageOf, inject, injectable } from "../base/index.js";
import { Checkpoints } from "../checkpoint/index.js";
import { ShimConfig } from "../config/index.js";
import { Containers, removeContainer } from "../containers/index.js";
import { DockerService } from "../docker/index.js";
import { Inventory, stageOf, type SandboxRecord } from "../inventory/index.js";
import { Network, type NetworkCallOptions } from "../network/index.js";
import { podToDetach } from "./network-pod.js";

/** What the containers of a pod get to end by themselves. */
export const graceSeconds = 10;

/** Takes pods apart: on request, after a failure, and when nobody claims them. */
@injectable()
export class Teardown {
  constructor(
    @inject(DockerService) private readonly docker: DockerService,
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(Checkpoints) private readonly checkpoints: Checkpoints,
    @inject(Containers) private readonly containers: Containers,
    @inject(Network) private readonly network: Network,
    @inject(ShimConfig) private readonly config: ShimConfig,
    @inject(Logger) private readonly log: Logger,
  ) {}

  /** Gives a pod's addresses back; one that has none is a success. */
  async detach(id: string, options: NetworkCallOptions = {}): Promise<void> {
    const record = this.record(id);
    if (this.network.sandboxNetworkMode !== "none" || record?.docker.host.networkMode === "host") return;
    const checkpoint = await this.checkpoints.read(id);
    if (!record && checkpoint?.hostNetwork === true) return;
    await this.network.detach(podToDetach(id, record, checkpoint), options);
  }

  /** Removes a pod with all that belongs to it, in whatever state it is. */
  async remove(id: string, signal?: AbortSignal): Promise<void> {
    await Promise.all(
      this.inventory.workloadsOf(id).map((container) => this.containers.remove(container.id)),
    );
    await this.detach(id, { signal });
    await removeContainer(this.docker, id);
    this.inventory.removed(id);
    await this.checkpoints.remove(id);
  }

  /** Removes what a failed or abandoned RunPodSandbox has made; a failure is said in the log. */
  async undo(id: string, why: string): Promise<void> {
    this.log.warn({ sandbox: id, why }, "undoing a pod");
    try {
      // A retry must not adopt what is left when this fails halfway.
      const checkpoint = await this.checkpoints.read(id);
      if (checkpoint && !checkpoint.unfinished)
        await this.checkpoints.write(id, { ...checkpoint, unfinished: true });
      await this.remove(id);
    } catch (error) {
      this.log.error({ sandbox: id, err: messageOf(error) }, "could not undo a pod; it is tried again later");
    }
  }

  /**
   * Clears up a pod that is on record and not whole: one that nobody was told of, and one whose container is
   * gone. Of the latter the containers are stopped, for their address is given back.
   */
  async recover(id: string): Promise<void> {
    if (!this.record(id)) await this.release(id);
    else if ((await this.checkpoints.read(id))?.unfinished)
      await this.undo(id, "its creation came to no end");
  }

  /** Asks the network to give back what pods hold that are no more. */
  async cleanNetwork(): Promise<void> {
    const pods = this.inventory.sandboxes().map(({ id }) => id);
    await this.network.gc(pods, {});
  }

  /** Gives back what a pod holds whose container is gone. */
  private async release(id: string): Promise<void> {
    const why = "its container was removed by somebody else";
    this.log.warn({ sandbox: id, why }, "giving back what a pod holds");
    const { signal } = new AbortController();
    await Promise.all(
      this.inventory.workloadsOf(id).map((each) => this.containers.stop(each.id, { graceSeconds, signal })),
    );
    await this.detach(id);
    await this.checkpoints.remove(id);
  }

  /**
   * Removes pods and containers that were created and not started, older than the grace time, that no call
   * of this process has made or is making.
   */
  async sweep(isClaimed: (id: string) => boolean): Promise<void> {
    const before = BigInt(Date.now() - this.config.orphanGraceMs) * 1_000_000n;
    const isOrphan = ({ id, docker }: { id: string; docker: SandboxRecord["docker"] }) =>
      stageOf(docker) === "created" && (docker.createdAtNanos ?? before) < before && !isClaimed(id);
    const why = "it was created long ago, never started, and nobody claims it";
    for (const { id } of this.inventory.sandboxes().filter(isOrphan)) await this.undo(id, why);
    for (const { id } of this.inventory.workloads().filter(isOrphan)) {
      this.log.warn({ container: id, why }, "removing a container");
      await this.containers.remove(id).catch((error: unknown) => {
        this.log.error(
          { container: id, err: messageOf(error) },
          "could not remove it; it is tried again later",
        );
      });
    }
  }

  private record(id: string): SandboxRecord | undefined {
    const record = this.inventory.record(id);
    return record?.kind === "sandbox" ? record : undefined;
  }
}

/** Waits for `work`; what is gone already is a success. */
export async function ignoringGone(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isKind(error, "not-found")) throw error;
  }
}
