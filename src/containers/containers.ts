import { inject, injectable } from "../base/injection.js";
import { abortError, isKind, Logger, nowNanos, ShimError } from "../base/index.js";
import { ShimConfig } from "../config/index.js";
import { DockerService, type DockerContainer, type DockerContainerSpec } from "../docker/index.js";
import {
  ContainerState,
  type Container,
  type ContainerConfig,
  type ContainerFilter,
  type ContainerStatus,
  type PodSandboxConfig,
  type UpdateContainerResourcesRequest,
} from "../gen/runtime/v1/api_pb.js";
import { Host } from "../host/index.js";
import { Inventory, stageOf, type ContainerRecord, type WorkloadRecord } from "../inventory/index.js";
import { ContainerLogs, type LogTarget } from "../logs/index.js";
import {
  containerInfo,
  containerState,
  isReady,
  refuseUnsupported,
  resourcesUpdate,
} from "../translate/index.js";
import { buildSpec } from "./build-spec.js";
import { CgroupLimits, type CgroupFiles } from "./cgroup-limits.js";
import { createNamed } from "./create-named.js";
import { removeContainer, stopContainer } from "./ending.js";
import { execSync, type ExecSyncRequest, type ExecSyncResult } from "./exec-sync.js";
import { matchesContainer } from "./filters.js";
import { ImageVolumes } from "./image-volumes.js";
import { ContainerMessages } from "./messages.js";
import { untilAbandoned } from "./until-abandoned.js";

/** How long a status may wait for the last lines of a log: whoever sees the end reads the log next. */
const lastLinesMs = 1_000;
/** How long a container that is removed may take to end, before Docker is told to remove it all the same. */
const endingMs = 10_000;
const recentNanos = 2_000_000_000n;

/** The containers of pods: their life from create to remove. */
@injectable()
export class Containers {
  private readonly messages: ContainerMessages;
  private readonly imageVolumes: ImageVolumes;
  private readonly cgroupLimits: CgroupLimits;
  private readonly closed = new AbortController();
  /** Created for a caller who got the id, and neither started nor removed since. */
  private readonly answered = new Set<string>();

  constructor(
    @inject(DockerService) private readonly docker: DockerService,
    @inject(Host) private readonly host: Host,
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(ContainerLogs) private readonly logs: ContainerLogs,
    @inject(ShimConfig) private readonly config: ShimConfig,
    @inject(Logger) private readonly log: Logger,
  ) {
    this.messages = new ContainerMessages(inventory);
    this.imageVolumes = new ImageVolumes({ docker, host, inventory, config, log });
    this.cgroupLimits = new CgroupLimits({ docker, host, inventory, config, log });
  }

  /**
   * Takes up the logs of the containers that are there, once the inventory knows them, and lets each end with
   * its container. Resolves when that is done; closing the inventory ends the wait.
   */
  async keepLogs(): Promise<void> {
    this.inventory.subscribe(({ type, record }) => {
      if (type !== "created") this.answered.delete(record.id);
      if (type !== "stopped") return;
      // One that somebody has restarted goes on with its log.
      const now = this.inventory.record(record.id);
      if (!now || stageOf(now.docker) === "exited") void this.logs.finish(record.id);
    });
    await this.inventory.whenReady();
    if (!this.inventory.isReady) return;
    const started = this.inventory.workloads().filter(({ docker }) => stageOf(docker) !== "created");
    await this.logs.resume(started.map((record) => ({ ...logTarget(record), container: known(record) })));
  }

  /**
   * Removes the images that were unpacked for containers which are gone, with the last of them, until the shim
   * closes; first, once the inventory knows what is there, those that a crash has left.
   */
  async keepImageVolumes(): Promise<void> {
    this.inventory.subscribe(({ type, record }) => {
      if (type === "deleted") void this.imageVolumes.releaseOf(record.docker);
    });
    await this.inventory.whenReady();
    if (this.inventory.isReady) await this.imageVolumes.sweep();
  }

  /** Keeps the cgroup limits of the containers as they were asked for, until the shim closes. */
  async keepCgroupLimits(): Promise<void> {
    await this.cgroupLimits.keep();
  }

  /** Leaves no timer behind. */
  close(): void {
    this.closed.abort();
    this.cgroupLimits.close();
    this.imageVolumes.close();
  }

  /**
   * Creates a container. The work goes on when the caller goes; what it made is then removed again.
   * @returns Its full id.
   */
  async create(
    sandboxId: string,
    config: ContainerConfig | undefined,
    sandboxConfig: PodSandboxConfig | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const sandbox = this.inventory.sandbox(sandboxId);
    if (!config) throw new ShimError("invalid-argument", "CreateContainer: config is missing");
    return await this.imageVolumes.during(config.mounts, signal, async (exportedImages) => {
      const spec = await buildSpec(
        { config, sandboxConfig, sandbox, exportedImages },
        { host: this.host, inventory: this.inventory, config: this.config, log: this.log },
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
    const id = await untilAbandoned(
      signal,
      this.createWhole(spec, files),
      async (made) => {
        this.log.warn({ container: made }, "removing a container whose creator has gone");
        await this.removeFromDocker(made);
      },
      (error) => {
        this.log.warn({ err: error, name: spec.name }, "a create that nobody waits for failed");
      },
    );
    this.answered.add(id);
    return id;
  }

  /** Creates a container and notes the limits that Docker does not; without them it is removed again. */
  private async createWhole(spec: DockerContainerSpec, files: CgroupFiles): Promise<string> {
    const { id } = await createNamed(spec, {
      docker: this.docker,
      inventory: this.inventory,
      log: this.log,
      deadlineMs: this.config.runtimeRequestTimeoutMs,
      isClaimed: (holder) => this.isClaimed(holder),
      removeLeftover: (leftover) => this.removeFromDocker(leftover),
    });
    if (Object.keys(files).length === 0) return id;
    try {
      await this.cgroupLimits.save(id, files);
    } catch (error) {
      await this.removeFromDocker(id);
      throw error;
    }
    return id;
  }

  /** True for a container whose id a caller of this process has got. */
  isClaimed(id: string): boolean {
    return this.answered.has(id);
  }

  /** Starts a created container. */
  async start(id: string): Promise<void> {
    const record = this.inventory.workload(id);
    requireCreated(record);
    const sandbox = this.inventory.record(record.sandboxId);
    if (sandbox && !isReady(sandbox.docker)) {
      throw new ShimError(
        "failed-precondition",
        `the sandbox of container ${record.id} has ended or was restarted by another: its pod needs a new one`,
      );
    }
    await this.logs.start(logTarget(record));
    await this.cgroupLimits.start(record).finally(() => this.inventory.refresh(record.id));
    this.answered.delete(record.id);
    const started = this.inventory.record(record.id);
    await this.logs.started(record.id, () => Promise.resolve(started && known(started)));
  }

  /** Stops a container; one that is stopped or gone is a success. */
  async stop(
    id: string,
    options: { readonly graceSeconds: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const record = this.findForEnding(id);
    if (!record || stageOf(record.docker) !== "running") return;
    await stopContainer(this.docker, record.id, options).finally(() => this.inventory.refresh(record.id));
    await this.logs.finish(record.id);
  }

  /** Removes a container, running or not, and leaves its log complete; one that is gone is a success. */
  async remove(id: string): Promise<void> {
    const record = this.findForEnding(id);
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

  /** A container that has just ended is shown as such once its log is complete, within bounds. */
  async status(
    id: string,
    { verbose }: { readonly verbose: boolean },
  ): Promise<{ status: ContainerStatus; info: Record<string, string> }> {
    const found = this.inventory.workload(id);
    if (justEnded(found)) await this.logs.finish(found.id, { deadlineMs: lastLinesMs });
    const record = this.inventory.workload(found.id);
    return {
      status: this.messages.status(record),
      info: verbose ? containerInfo(record.docker, record.sandboxId) : {},
    };
  }

  /** The status of a record that the caller holds already. */
  statusOf(record: WorkloadRecord): ContainerStatus {
    return this.messages.status(record);
  }

  /** Changes limits while the container runs. */
  async updateResources(request: UpdateContainerResourcesRequest): Promise<void> {
    const record = this.inventory.workload(request.containerId);
    refuseUnsupported(request, "UpdateContainerResources");
    if (!request.linux) return;
    const update = resourcesUpdate(request.linux, this.inventory.environment(), record.docker.host.resources);
    await this.cgroupLimits.update(record, request.linux, update);
  }

  /** Goes on in a new log file. */
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

  /** Writes a CRIU checkpoint into `location`, a folder; the container goes on running. */
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

  /** The record to stop or remove; undefined when it is gone. An id of the other kind is an error. */
  private findForEnding(id: string): WorkloadRecord | undefined {
    try {
      return this.inventory.workload(id);
    } catch (error) {
      if (isKind(error, "not-found") && this.inventory.record(id) === undefined) return undefined;
      throw error;
    }
  }

  /** Docker drops what it holds of a log with the container: so the container ends first, and its log with it. */
  private async completeLog({ id, docker, logPath }: WorkloadRecord): Promise<void> {
    const stage = stageOf(docker);
    if (logPath === "" || stage === "created") return;
    try {
      const { signal } = new AbortController();
      if (stage === "running")
        await stopContainer(this.docker, id, { graceSeconds: 0, signal, marginMs: endingMs });
      if (await this.logs.finish(id)) return;
    } catch {
      // What keeps it from ending shows in the removal.
    }
    this.log.warn(
      { container: id, logPath },
      "removing a container whose log is not complete: its end is lost",
    );
  }

  private async removeFromDocker(id: string): Promise<void> {
    await removeContainer(this.docker, id);
    this.inventory.removed(id);
  }
}

/** Docker goes on calling a container created that it could not start, or whose start was cut. */
function requireCreated({ id, docker }: WorkloadRecord): void {
  const state = containerState(docker);
  if (state === ContainerState.CONTAINER_CREATED) return;
  const { error, startedAtNanos } = docker.state;
  const why =
    state === ContainerState.CONTAINER_RUNNING
      ? "is running"
      : startedAtNanos === undefined
        ? `could not be started before (${error || "its start was cut"})`
        : "is exited";
  throw new ShimError(
    "failed-precondition",
    `container ${id} ${why}: only a created one can be started; create another attempt`,
  );
}

function requireRunning(record: WorkloadRecord): void {
  if (stageOf(record.docker) === "running") return;
  throw new ShimError("failed-precondition", `container ${record.id} is not running`);
}

function justEnded({ docker }: WorkloadRecord): boolean {
  const { running, finishedAtNanos } = docker.state;
  return !running && finishedAtNanos !== undefined && nowNanos() - finishedAtNanos < recentNanos;
}

/** What Docker itself says of a container; undefined where that is not known. */
function known({ docker, provisional }: ContainerRecord): DockerContainer | undefined {
  return provisional ? undefined : docker;
}

function logTarget({ id, logPath, logDirectory, docker }: WorkloadRecord): LogTarget {
  return { id, logPath, logRoot: logDirectory, logDriver: docker.host.logConfig?.driver };
}
