import { inject, injectable } from "../base/injection.js";
import { abortError, isKind, Logger, nowNanos, ShimError } from "../base/index.js";
import { ShimConfig } from "../config/index.js";
import { DockerService, type DockerContainer, type DockerContainerSpec } from "../docker/index.js";
import type {
  CheckpointPodRequest,
  Container,
  ContainerConfig,
  ContainerFilter,
  ContainerStatus,
  PodSandboxConfig,
  RestorePodRequest,
  UpdateContainerResourcesRequest,
} from "../gen/runtime/v1/api_pb.js";
import { Host } from "../host/index.js";
import { Inventory, stageOf, type ContainerRecord, type WorkloadRecord } from "../inventory/index.js";
import { ContainerLogs, type LogTarget } from "../logs/index.js";
import { containerInfo, isReady, refuseUnsupported, resourcesUpdate } from "../translate/index.js";
import { buildSpec } from "./build-spec.js";
import { CgroupLimits, type CgroupFiles } from "./cgroup-limits.js";
import { createNamed } from "./create-named.js";
import { removeContainer, stopContainer } from "./stop-and-remove.js";
import { execSync, type ExecSyncRequest, type ExecSyncResult } from "./exec-sync.js";
import { matchesContainer } from "./filters.js";
import { ImageExport } from "./image-export.js";
import { ImageVolumes, requireImageSubPaths } from "./image-volumes.js";
import { ContainerMessages } from "./container-messages.js";
import { ContainerUsers } from "./container-users.js";
import { refuseCheckpointPod, refuseRestorePod } from "./pod-checkpoint.js";
import { requireCreated, requireRunning } from "./require-state.js";
import { rollbackOnCancel } from "./rollback-on-cancel.js";
import type { ContainersContext } from "./context.js";

/** How long a status waits for the last lines of a log: a caller that sees the exit reads the log next. */
const lastLinesMs = 1_000;
/** How long a removal waits for the container to stop before it is forced. */
const stopBeforeRemoveMs = 10_000;
const recentNanos = 2_000_000_000n;

/** The containers of pods: their lifecycle from create to remove. */
@injectable()
export class Containers {
  private readonly context: ContainersContext;
  private readonly users: ContainerUsers;
  private readonly messages: ContainerMessages;
  private readonly imageExport: ImageExport;
  private readonly imageVolumes: ImageVolumes;
  private readonly cgroupLimits: CgroupLimits;
  private readonly closed = new AbortController();
  /** Containers whose ID was returned to a caller, until they are started or removed. */
  private readonly returned = new Set<string>();

  constructor(
    @inject(DockerService) private readonly docker: DockerService,
    @inject(Host) private readonly host: Host,
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(ContainerLogs) private readonly logs: ContainerLogs,
    @inject(ShimConfig) private readonly config: ShimConfig,
    @inject(Logger) private readonly log: Logger,
  ) {
    this.users = new ContainerUsers(host, config);
    this.messages = new ContainerMessages(inventory, this.users);
    this.context = { docker, host, inventory, config, log };
    this.imageExport = new ImageExport(docker, host, log);
    this.imageVolumes = new ImageVolumes(this.context, this.imageExport);
    this.cgroupLimits = new CgroupLimits(this.context);
  }

  /**
   * Resumes the logs of existing containers after the first sync, and finishes each log when its container stops.
   * Resolves when all logs are resumed, or the inventory is closed.
   */
  async keepLogs(): Promise<void> {
    this.inventory.subscribe(({ type, record }) => {
      if (type !== "created") this.returned.delete(record.id);
      if (type === "deleted") this.users.forget(record.id);
      if (type !== "stopped") return;
      // A restarted container continues its log.
      const now = this.inventory.record(record.id);
      if (!now || stageOf(now.docker) === "exited") void this.logs.finish(record.id);
    });
    await this.inventory.whenReady();
    if (!this.inventory.isReady) return;
    const started = this.inventory.workloads().filter(({ docker }) => stageOf(docker) !== "created");
    await this.logs.resume(started.map((record) => ({ ...logTarget(record), container: known(record) })));
  }

  /**
   * Removes unpacked images without containers: after the first sync those left by a crash, and then each with its last
   * container, until the shim closes.
   */
  async keepImageVolumes(): Promise<void> {
    this.inventory.subscribe(({ type, record }) => {
      if (type === "deleted") void this.imageVolumes.releaseOf(record.docker);
    });
    await this.inventory.whenReady();
    if (this.inventory.isReady) await this.imageVolumes.sweep();
  }

  /** Enforces the cgroup limits of containers until the shim closes. */
  async keepCgroupLimits(): Promise<void> {
    await this.cgroupLimits.keep();
  }

  /** Clears timers and stops background work. */
  close(): void {
    this.closed.abort();
    this.cgroupLimits.close();
    this.imageVolumes.close();
  }

  /**
   * Creates a container. If the caller cancels, the create continues in the background and its container is removed.
   * @returns The full ID.
   */
  async create(
    sandboxId: string,
    config: ContainerConfig | undefined,
    sandboxConfig: PodSandboxConfig | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const sandbox = this.inventory.sandbox(sandboxId);
    if (!config) throw new ShimError("invalid-argument", "CreateContainer: config is missing");
    return await this.imageVolumes.withUnpacked(config.mounts, signal, async (exportedImages) => {
      const spec = await buildSpec(
        { config, sandboxConfig, sandbox, exportedImages },
        this.context,
        this.imageExport,
      );
      const files = this.cgroupLimits.of(config.linux?.resources, spec.host.resources);
      if (signal.aborted) throw abortError("CreateContainer", signal.reason);
      return await this.createFrom(spec, files, signal);
    });
  }

  private async createFrom(
    spec: DockerContainerSpec,
    files: CgroupFiles,
    signal: AbortSignal,
  ): Promise<string> {
    const id = await rollbackOnCancel(
      signal,
      this.createWithLimits(spec, files),
      async (made) => {
        this.log.warn({ container: made }, "removing a container whose create was cancelled");
        await this.removeFromDocker(made);
      },
      (error) => {
        this.log.warn({ err: error, name: spec.name }, "a cancelled create failed");
      },
    );
    this.returned.add(id);
    return id;
  }

  /** Creates a container and stores the limits that Docker cannot set. If a step fails, the container is removed. */
  private async createWithLimits(spec: DockerContainerSpec, files: CgroupFiles): Promise<string> {
    const { id } = await createNamed(spec, {
      docker: this.docker,
      inventory: this.inventory,
      log: this.log,
      deadlineMs: this.config.runtimeRequestTimeoutMs,
      isClaimed: (holder) => this.isClaimed(holder),
      removeLeftover: (leftover) => this.removeFromDocker(leftover),
    });
    try {
      await requireImageSubPaths(this.docker, id, spec);
      if (Object.keys(files).length > 0) await this.cgroupLimits.save(id, files);
    } catch (error) {
      await this.removeFromDocker(id);
      throw error;
    }
    return id;
  }

  /** True for a container whose ID was returned to a caller, and that is not started yet. */
  isClaimed(id: string): boolean {
    return this.returned.has(id);
  }

  /** Starts a created container. */
  async start(id: string): Promise<void> {
    const record = this.inventory.workload(id);
    requireCreated(record);
    const sandbox = this.inventory.record(record.sandboxId);
    if (sandbox && !isReady(sandbox.docker)) {
      throw new ShimError(
        "failed-precondition",
        `the sandbox of container ${record.id} has exited or was restarted: its pod needs a new sandbox`,
      );
    }
    await this.logs.start(logTarget(record));
    await this.cgroupLimits.start(record).finally(() => this.inventory.refresh(record.id));
    this.returned.delete(record.id);
    const started = this.inventory.record(record.id);
    await this.logs.started(record.id, () => Promise.resolve(started && known(started)));
  }

  /** Stops a container. Succeeds if it is stopped or missing. */
  async stop(
    id: string,
    options: { readonly graceSeconds: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const record = this.findExisting(id);
    if (!record || stageOf(record.docker) !== "running") return;
    await stopContainer(this.docker, record.id, options).finally(() => this.inventory.refresh(record.id));
    await this.logs.finish(record.id);
  }

  /** Removes a container, running or not, after its log is complete. Succeeds if it is missing. */
  async remove(id: string): Promise<void> {
    const record = this.findExisting(id);
    if (!record) return;
    await this.completeLog(record);
    await this.removeFromDocker(record.id);
    await this.logs.remove(logTarget(record));
  }

  list(filter: ContainerFilter | undefined): Container[] {
    const found: Container[] = [];
    for (const record of this.inventory.workloads()) {
      const message = this.messages.listed(record);
      if (matchesContainer(record, message.state, filter)) found.push(message);
    }
    return found;
  }

  /** The status of a container. For one that has just exited it waits briefly until the log is complete. */
  async status(
    id: string,
    { verbose }: { readonly verbose: boolean },
  ): Promise<{ status: ContainerStatus; info: Record<string, string> }> {
    const found = this.inventory.workload(id);
    if (justEnded(found)) await this.logs.finish(found.id, { deadlineMs: lastLinesMs });
    const record = this.inventory.workload(found.id);
    await this.users.read(record);
    return {
      status: this.messages.status(record),
      info: verbose ? containerInfo(record.docker, record.sandboxId) : {},
    };
  }

  /** The status for a record. */
  statusOf(record: WorkloadRecord): ContainerStatus {
    return this.messages.status(record);
  }

  /** Updates the limits of a container, running or not. */
  async updateResources(request: UpdateContainerResourcesRequest): Promise<void> {
    const record = this.inventory.workload(request.containerId);
    refuseUnsupported(request, "UpdateContainerResources");
    if (!request.linux) return;
    const update = resourcesUpdate(request.linux, this.inventory.environment(), record.docker.host.resources);
    await this.cgroupLimits.update(record, request.linux, update);
  }

  /** Reopens the log file, after a rotation. */
  async reopenLog(id: string): Promise<void> {
    await this.logs.reopen(this.inventory.workload(id).id);
  }

  async execSync(request: ExecSyncRequest): Promise<ExecSyncResult> {
    const record = this.inventory.workload(request.containerId);
    if (request.command.length === 0) throw new ShimError("invalid-argument", "ExecSync: cmd is empty");
    requireRunning(record);
    return execSync(
      { ...request, containerId: record.id },
      {
        docker: this.docker,
        host: this.host,
        log: this.log,
        execEnds: this.inventory.execEnds,
        closed: this.closed.signal,
      },
    );
  }

  /** Writes a CRIU checkpoint into the directory `location`. The container continues to run. */
  async checkpoint(id: string, location: string, timeoutSeconds: number, signal: AbortSignal): Promise<void> {
    const record = this.inventory.workload(id);
    if (!location.startsWith("/")) {
      throw new ShimError(
        "invalid-argument",
        `CheckpointContainer: location must be an absolute path, not "${location}"`,
      );
    }
    requireRunning(record);
    await this.docker.containers.checkpoint(record.id, {
      name: `checkpoint-${Date.now()}`,
      directory: location,
      exit: false,
      signal,
      deadlineMs: timeoutSeconds > 0 ? timeoutSeconds * 1000 : undefined,
    });
  }

  /** @throws ShimError as {@link refuseCheckpointPod} does, always. */
  checkpointPod(request: CheckpointPodRequest): never {
    throw refuseCheckpointPod(request, this.inventory);
  }

  /** @throws ShimError as {@link refuseRestorePod} does, always. */
  restorePod(request: RestorePodRequest): never {
    throw refuseRestorePod(request, this.inventory);
  }

  /** The record to stop or remove; undefined if missing. The ID of a sandbox is an error. */
  private findExisting(id: string): WorkloadRecord | undefined {
    try {
      return this.inventory.workload(id);
    } catch (error) {
      if (isKind(error, "not-found") && this.inventory.record(id) === undefined) return undefined;
      throw error;
    }
  }

  /** Stops the container and finishes its log before the removal, which deletes Docker's copy of the log. */
  private async completeLog({ id, docker, logPath }: WorkloadRecord): Promise<void> {
    const stage = stageOf(docker);
    if (logPath === "" || stage === "created") return;
    try {
      const { signal } = new AbortController();
      if (stage === "running")
        await stopContainer(this.docker, id, { graceSeconds: 0, signal, marginMs: stopBeforeRemoveMs });
      if (await this.logs.finish(id)) return;
    } catch {
      // The removal fails with the same error.
    }
    this.log.warn(
      { container: id, logPath },
      "removing a container whose log is incomplete: its last lines are lost",
    );
  }

  private async removeFromDocker(id: string): Promise<void> {
    await removeContainer(this.docker, id);
    this.inventory.removed(id);
  }
}

/** Rejects a container whose start failed or was interrupted, which Docker still shows as created. */
function justEnded({ docker }: WorkloadRecord): boolean {
  const { running, finishedAtNanos } = docker.state;
  return !running && finishedAtNanos !== undefined && nowNanos() - finishedAtNanos < recentNanos;
}

/** Docker's inspect result of a container; undefined if there is none yet. */
function known({ docker, provisional }: ContainerRecord): DockerContainer | undefined {
  return provisional ? undefined : docker;
}

function logTarget({ id, logPath, logDirectory, docker }: WorkloadRecord): LogTarget {
  return { id, logPath, logRoot: logDirectory, logDriver: docker.host.logConfig?.driver };
}
