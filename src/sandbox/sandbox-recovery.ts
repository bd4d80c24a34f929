import { inject, injectable, isKind, Logger, messageOf, sleep } from "../base/index.js";
import { Checkpoints } from "../checkpoint/index.js";
import { ShimConfig } from "../config/index.js";
import { Containers } from "../containers/index.js";
import { Inventory, stageOf, type ContainerRecord } from "../inventory/index.js";
import { Network } from "../network/index.js";
import { netnsPathOf, podToDetach } from "./network-pod.js";
import { SandboxCreator } from "./sandbox-creator.js";
import { Teardown } from "./teardown.js";

const intervalMs = 60_000;

/** Cleans up after crashes, and after other programs that remove sandboxes. */
@injectable()
export class SandboxRecovery {
  private readonly closing = new AbortController();

  constructor(
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(Containers) private readonly containers: Containers,
    @inject(Network) private readonly network: Network,
    @inject(Checkpoints) private readonly checkpoints: Checkpoints,
    @inject(SandboxCreator) private readonly creator: SandboxCreator,
    @inject(Teardown) private readonly teardown: Teardown,
    @inject(ShimConfig) private readonly config: ShimConfig,
    @inject(Logger) private readonly log: Logger,
  ) {}

  /** Works from the inventory's first sync until {@link SandboxRecovery.close}, once a minute and after each removal. */
  async run(): Promise<void> {
    const { inventory } = this;
    const { signal } = this.closing;
    const unsubscribe = inventory.subscribe(({ type, record: { id, kind } }) => {
      if (type === "deleted" && kind === "sandbox")
        void this.attempt(() => this.recover((each) => each === id));
    });
    await inventory.whenReady();
    const earlier = inventory.isReady ? inventory.sandboxes().map(({ id }) => id) : [];
    for (let first = true; !signal.aborted; first = false) {
      await this.attempt(() => this.recover());
      if (first) {
        await this.attempt(() =>
          this.network.gc(
            inventory.sandboxes().map(({ id }) => id),
            {},
          ),
        );
      }
      await this.attempt(() => this.removeOrphans());
      if (first) await this.attempt(() => this.takeOverNetworks(earlier));
      await sleep(intervalMs, signal).catch(() => undefined);
    }
    unsubscribe();
  }

  close(): void {
    this.closing.abort();
  }

  private async recover(isMeant: (id: string) => boolean = () => true): Promise<void> {
    const isCreating = (id: string) => this.creator.isCreating(id);
    for (const id of (await this.checkpoints.ids()).filter(isMeant))
      await this.attempt(() => this.teardown.recover(id, isCreating));
  }

  /** Removes pods and containers that were created long ago and never started, unless a call uses them. */
  private async removeOrphans(): Promise<void> {
    const before = BigInt(Date.now() - this.config.orphanGraceMs) * 1_000_000n;
    const isOrphan = ({ id, docker }: ContainerRecord) =>
      stageOf(docker) === "created" &&
      (docker.createdAtNanos ?? before) < before &&
      !this.creator.isCreating(id) &&
      !this.containers.isClaimed(id);
    const why = "it was created long ago, never started, and no call claims it";
    for (const { id } of this.inventory.sandboxes().filter(isOrphan)) await this.teardown.undo(id, why);
    for (const { id } of this.inventory.workloads().filter(isOrphan)) {
      this.log.warn({ container: id, why }, "removing a container");
      await this.attempt(() => this.containers.remove(id));
    }
  }

  /**
   * Mounts the namespaces of pods that an earlier process attached, and runs CHECK. Its result is only logged, because CRI
   * has no field for it.
   * @see CNI SPEC, section 2, "CHECK"
   */
  private async takeOverNetworks(podIds: readonly string[]): Promise<void> {
    const { network, inventory, log } = this;
    const { signal } = this.closing;
    const failures = new Map<string, string>();
    const isAttached = (id: string) => network.cachedIps(id) !== undefined;
    for (const id of podIds.filter(isAttached)) {
      const record = inventory.record(id);
      const netnsPath = record?.kind === "sandbox" ? netnsPathOf(record) : undefined;
      if (record?.kind !== "sandbox" || netnsPath === undefined) continue;
      try {
        await network.holdNamespace(id, netnsPath);
        await network.check({ ...podToDetach(id, record, undefined), netnsPath }, { signal });
      } catch (error) {
        if (signal.aborted) return;
        // Older configurations have no CHECK, and the pod may have been removed meanwhile.
        if (!isKind(error, "unsupported") && isAttached(id)) failures.set(id, messageOf(error));
      }
    }
    if (failures.size === 0) return;
    const [err] = failures.values();
    log.warn(
      { pods: [...failures.keys()], err },
      "CHECK failed for these pods: recreate those that cannot be reached",
    );
  }

  /** Logs a failure: the next round tries again. */
  private async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.log.warn({ err: messageOf(error) }, "cleanup failed, trying again");
    }
  }
}
