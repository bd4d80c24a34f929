import { posix } from "node:path";
import { KeyedLock, messageOf, ShimError, type Logger } from "../base/index.js";
import { isEngineLocal, type ShimConfig } from "../config/index.js";
import type { DockerContainer, DockerResources, DockerService } from "../docker/index.js";
import type { LinuxContainerResources } from "../gen/runtime/v1/api_pb.js";
import type { Host } from "../host/index.js";
import type { Inventory, WorkloadRecord } from "../inventory/index.js";
import { cgroupFiles, checkUnified, noSwapFile, updatedCgroupFiles } from "../translate/index.js";
import { stopContainer } from "./ending.js";
import { findCgroup, KeptCgroup } from "./kept-cgroup.js";

/** Names of files of a container's cgroup, and what they are to hold. */
export type CgroupFiles = Readonly<Record<string, string>>;

export interface CgroupLimitsContext {
  readonly docker: DockerService;
  readonly host: Host;
  readonly inventory: Inventory;
  readonly config: ShimConfig;
  readonly log: Logger;
}

/**
 * Limits of cgroup v2 that Docker has no option for. They are noted in a file below the root directory, written into the
 * container's own cgroup when it has started, and written again when another process has changed them: `docker update`
 * makes systemd set all of its own values anew, and so does the next start of any container after a `systemctl
 * daemon-reload`.
 */
export class CgroupLimits {
  private readonly folder: string;
  private readonly kept = new Map<
    string,
    { readonly pid: number | undefined; readonly cgroup: KeptCgroup }
  >();
  private readonly locks = new KeyedLock();
  private closed = false;

  constructor(private readonly context: CgroupLimitsContext) {
    this.folder = posix.join(context.config.rootDirectory, "cgroup-limits");
  }

  /**
   * What a new container is to have beyond Docker's limits.
   * @throws ShimError "unsupported" when Docker runs on another machine.
   */
  of(resources: LinuxContainerResources | undefined, docker: DockerResources | undefined): CgroupFiles {
    const environment = this.context.inventory.environment();
    return this.checked(cgroupFiles(resources?.unified ?? {}, docker?.memoryBytes, environment));
  }

  /** Notes what a container is to have, in place of what was noted before. */
  async save(id: string, files: CgroupFiles): Promise<void> {
    const { host } = this.context;
    const path = this.pathOf(id);
    try {
      if (Object.keys(files).length === 0) await host.files.remove(path);
      // After a crash of the machine no container runs, and kubelet makes new ones.
      else await host.files.writeAtomic(path, JSON.stringify(files), { sync: false });
    } catch (cause) {
      throw new ShimError("internal", `cannot note cgroup limits in ${path}: ${messageOf(cause)}`, { cause });
    }
  }

  /**
   * Starts a container, which has its limits when this resolves. One whose limits cannot be written is stopped.
   * @throws ShimError "failed-precondition" naming the file; what Docker throws.
   */
  async start({ id, docker }: WorkloadRecord): Promise<void> {
    const { containers } = this.context.docker;
    const limited = Object.keys(await this.wanted(docker)).length > 0;
    await containers.start(id);
    if (!limited) return;
    try {
      await this.apply(await containers.inspect(id));
    } catch (error) {
      await stopContainer(this.context.docker, id, { graceSeconds: 0, signal: new AbortController().signal });
      throw error;
    }
  }

  /**
   * Changes limits: Docker's, then the others. Where the latter cannot be written they stay as they were.
   * @param update What Docker is to change.
   */
  async update(
    { id, docker }: WorkloadRecord,
    resources: LinuxContainerResources,
    update: DockerResources,
  ): Promise<void> {
    const { docker: engine, inventory } = this.context;
    const before = await this.saved(id);
    const memoryBytes = update.memoryBytes ?? docker.host.resources?.memoryBytes;
    const files = this.checked(updatedCgroupFiles(before, resources, memoryBytes, inventory.environment()));
    if (Object.keys(update).length > 0) await engine.containers.update(id, update);
    await this.save(id, files);
    const changed = await inventory.refresh(id);
    if (!changed?.docker.state.running) return;
    try {
      await this.apply(changed.docker);
    } catch (error) {
      await this.save(id, before);
      await this.apply(changed.docker);
      throw error;
    }
  }

  /** Follows the containers until closed: those that run already, and what others start, stop and remove. */
  async keep(): Promise<void> {
    const { inventory, host } = this.context;
    inventory.subscribe(({ type, record: { id, kind } }) => {
      if (kind !== "container" || type === "created") return;
      if (type === "started") void this.attempt(() => this.follow(id));
      else this.release(id);
      if (type === "deleted") void this.attempt(() => host.files.remove(this.pathOf(id)));
    });
    await inventory.whenReady();
    if (!inventory.isReady) return;
    for (const name of await host.files.list(this.folder)) {
      if (inventory.record(name) === undefined) await host.files.remove(posix.join(this.folder, name));
    }
    for (const { id } of inventory.workloads()) await this.attempt(() => this.follow(id));
  }

  /** Leaves no watch and no timer behind; the limits stay. */
  close(): void {
    this.closed = true;
    for (const id of [...this.kept.keys()]) this.release(id);
  }

  /** Applies the limits of a container that this process has not started. */
  private async follow(id: string): Promise<void> {
    const docker = this.context.inventory.record(id)?.docker;
    if (docker?.state.running && this.kept.get(id)?.pid !== docker.state.pid) await this.apply(docker);
  }

  /** @param docker As inspected now: its process id leads to its cgroup. */
  private async apply(docker: DockerContainer): Promise<void> {
    const { host, log } = this.context;
    await this.locks.run(docker.id, async () => {
      this.release(docker.id);
      const files = await this.wanted(docker);
      if (this.closed || Object.keys(files).length === 0) return;
      const folder = await findCgroup(docker, { host, log });
      if (folder === undefined) return;
      const cgroup = new KeptCgroup(folder, { host, log });
      this.kept.set(docker.id, { cgroup, pid: docker.state.pid });
      await cgroup.begin(files);
    });
  }

  private release(id: string): void {
    this.kept.get(id)?.cgroup.close();
    this.kept.delete(id);
  }

  private async wanted(docker: DockerContainer): Promise<CgroupFiles> {
    const { inventory, config } = this.context;
    const environment = inventory.environment();
    if (environment.cgroupVersion === 1 || !isEngineLocal(config)) return {};
    return { ...noSwapFile(docker.host.resources ?? {}, environment), ...(await this.saved(docker.id)) };
  }

  /** What was noted for a container. */
  private async saved(id: string): Promise<CgroupFiles> {
    const { host, inventory, log } = this.context;
    let text: string;
    try {
      text = (await host.files.read(this.pathOf(id))).toString("utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
      throw error;
    }
    try {
      const files = JSON.parse(text) as CgroupFiles;
      checkUnified(files, inventory.environment());
      return files;
    } catch (error) {
      log.warn(
        { container: id, err: messageOf(error) },
        "the note of a container's cgroup limits is torn: ignored",
      );
      return {};
    }
  }

  private checked(files: CgroupFiles): CgroupFiles {
    const [file] = Object.keys(files);
    if (file === undefined || isEngineLocal(this.context.config)) return files;
    throw new ShimError(
      "unsupported",
      `resources.unified[${JSON.stringify(file)}] is written into the node's cgroups, but Docker runs on another machine`,
    );
  }

  /** Work that nobody waits for. */
  private async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.context.log.warn({ err: messageOf(error) }, "could not keep the cgroup limits of a container");
    }
  }

  private pathOf(id: string): string {
    return posix.join(this.folder, id);
  }
}
