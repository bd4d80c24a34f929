import { posix } from "node:path";
import { KeyedLock, messageOf, ShimError } from "../base/index.js";
import { isEngineLocal } from "../config/index.js";
import type { DockerContainer, DockerResources } from "../docker/index.js";
import type { LinuxContainerResources } from "../gen/runtime/v1/api_pb.js";
import type { WorkloadRecord } from "../inventory/index.js";
import { cgroupFiles, checkUnified, noSwapFile, updatedCgroupFiles } from "../translate/index.js";
import { stopContainer } from "./stop-and-remove.js";
import { CgroupEnforcer, findCgroup } from "./cgroup-enforcer.js";
import type { ContainersContext } from "./context.js";

/** Values of cgroup v2 files by file name. */
export type CgroupFiles = Readonly<Record<string, string>>;

/**
 * Enforces cgroup v2 limits without an option in Docker. They are stored in a file below the root directory, written to
 * the container's cgroup after its start, and rewritten when another process changes them: systemd reapplies its own
 * values at `docker update`, and at the next start of any container after `systemctl daemon-reload`.
 */
export class CgroupLimits {
  private readonly folder: string;
  private readonly enforcers = new Map<
    string,
    { readonly pid: number | undefined; readonly cgroup: CgroupEnforcer }
  >();
  private readonly locks = new KeyedLock();
  private closed = false;

  constructor(private readonly context: ContainersContext) {
    this.folder = posix.join(context.config.rootDirectory, "cgroup-limits");
  }

  /**
   * The limits of a new container that Docker cannot set.
   * @throws ShimError "unsupported" when Docker runs on another machine.
   */
  of(resources: LinuxContainerResources | undefined, docker: DockerResources | undefined): CgroupFiles {
    const environment = this.context.inventory.environment();
    return this.checked(cgroupFiles(resources?.unified ?? {}, docker?.memoryBytes, environment));
  }

  /** Stores the limits of a container, replacing earlier ones. */
  async save(id: string, files: CgroupFiles): Promise<void> {
    const { host } = this.context;
    const path = this.pathOf(id);
    try {
      if (Object.keys(files).length === 0) await host.files.remove(path);
      // No fsync: after a crash of the machine kubelet creates new containers.
      else await host.files.writeAtomic(path, JSON.stringify(files), { sync: false });
    } catch (cause) {
      throw new ShimError("internal", `cannot store cgroup limits in ${path}: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  /**
   * Starts a container and writes its limits. If that fails, the container is stopped.
   * @throws ShimError "failed-precondition" with the file; errors of Docker.
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
   * Updates Docker's limits, then the others. If those cannot be written, they are rolled back.
   * @param update The limits that Docker updates.
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

  /** Enforces the limits of all running containers until closed, including those started by other clients. */
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

  /** Closes watches and timers. The limits stay in place. */
  close(): void {
    this.closed = true;
    for (const id of [...this.enforcers.keys()]) this.release(id);
  }

  /** Applies the limits of a container that was started by another client or an earlier shim. */
  private async follow(id: string): Promise<void> {
    const docker = this.context.inventory.record(id)?.docker;
    if (docker?.state.running && this.enforcers.get(id)?.pid !== docker.state.pid) await this.apply(docker);
  }

  /** @param docker A current inspect result: its pid identifies the cgroup. */
  private async apply(docker: DockerContainer): Promise<void> {
    await this.locks.run(docker.id, async () => {
      this.release(docker.id);
      const files = await this.wanted(docker);
      if (this.closed || Object.keys(files).length === 0) return;
      const folder = await findCgroup(docker, this.context);
      if (folder === undefined) return;
      const cgroup = new CgroupEnforcer(folder, this.context);
      this.enforcers.set(docker.id, { cgroup, pid: docker.state.pid });
      await cgroup.start(files);
    });
  }

  private release(id: string): void {
    this.enforcers.get(id)?.cgroup.close();
    this.enforcers.delete(id);
  }

  private async wanted(docker: DockerContainer): Promise<CgroupFiles> {
    const { inventory, config } = this.context;
    const environment = inventory.environment();
    if (environment.cgroupVersion === 1 || !isEngineLocal(config)) return {};
    return { ...noSwapFile(docker.host.resources ?? {}, environment), ...(await this.saved(docker.id)) };
  }

  /** The stored limits of a container. */
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
        "ignoring a corrupt file with a container's cgroup limits",
      );
      return {};
    }
  }

  private checked(files: CgroupFiles): CgroupFiles {
    const [file] = Object.keys(files);
    if (file === undefined || isEngineLocal(this.context.config)) return files;
    throw new ShimError(
      "unsupported",
      `resources.unified[${JSON.stringify(file)}] needs access to the node's cgroups, but Docker runs on another machine`,
    );
  }

  /** Runs background work and logs its errors. */
  private async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.context.log.warn({ err: messageOf(error) }, "could not enforce the cgroup limits of a container");
    }
  }

  private pathOf(id: string): string {
    return posix.join(this.folder, id);
  }
}
