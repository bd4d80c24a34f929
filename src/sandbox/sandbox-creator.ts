import {
  abortError,
  fileFailure,
  inject,
  injectable,
  KeyedLock,
  Logger,
  messageOf,
  ShimError,
  withDeadline,
} from "../base/index.js";
import { Checkpoints } from "../checkpoint/index.js";
import { ShimConfig } from "../config/index.js";
import {
  createNamed,
  readSeccompProfile,
  requireApparmorProfile,
  type HolderJudgement,
} from "../containers/index.js";
import { DockerService, type DockerContainerSpec } from "../docker/index.js";
import type { PodSandboxConfig } from "../gen/runtime/v1/api_pb.js";
import { Host } from "../host/index.js";
import { Images } from "../images/index.js";
import { Inventory, type SandboxRecord } from "../inventory/index.js";
import { Network } from "../network/index.js";
import { isReady, resolvConf, sandboxSpec } from "../translate/index.js";
import { checkpointOf, podToAttach } from "./network-pod.js";
import { Teardown } from "./teardown.js";

/** The caller of RunPodSandbox. */
export interface Caller {
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal;
  /** When the caller stops waiting, in milliseconds from now; undefined without a deadline. */
  readonly timeoutMs?: (() => number | undefined) | undefined;
}

/** How long before the caller's deadline the wait for the sandbox image ends, so that the error still arrives. */
const marginMs = 2_000;

/** Creates pods: RunPodSandbox. */
@injectable()
export class SandboxCreator {
  private readonly nameLocks = new KeyedLock();
  /** Calls that wait for the lock of a name. */
  private readonly waiting = new Set<{ readonly name: string; readonly signal: AbortSignal }>();
  /** Pods that a call is creating now; each promise resolves when that call has ended. */
  private readonly inProgress = new Map<string, Promise<void>>();
  /** Pods whose id was returned to a caller of this process. */
  private readonly returned = new Set<string>();

  constructor(
    @inject(DockerService) private readonly docker: DockerService,
    @inject(Host) private readonly host: Host,
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(Images) private readonly images: Images,
    @inject(Network) private readonly network: Network,
    @inject(Checkpoints) private readonly checkpoints: Checkpoints,
    @inject(Teardown) private readonly teardown: Teardown,
    @inject(ShimConfig) private readonly config: ShimConfig,
    @inject(Logger) private readonly log: Logger,
  ) {
    inventory.subscribe(({ type, record }) => {
      if (type === "deleted") this.returned.delete(record.id);
    });
  }

  /**
   * Creates a pod. When a step fails, the earlier ones are undone. When the caller goes, the work continues; the pod is then
   * adopted by a retry that waits for it, or removed before the next call of its name.
   * @returns Its full id.
   */
  async run(config: PodSandboxConfig | undefined, runtimeHandler: string, caller: Caller): Promise<string> {
    if (!config) throw new ShimError("invalid-argument", "RunPodSandbox: config is missing");
    const spec = await this.specOf(config, runtimeHandler);
    const { signal } = caller;
    const call = { name: spec.name, signal };
    this.waiting.add(call);
    return withDeadline("RunPodSandbox", { signal }, () =>
      this.nameLocks.run(spec.name, () => {
        this.waiting.delete(call);
        return this.createFor(caller, spec, config);
      }),
    );
  }

  /** Whether a call is creating this pod now. */
  isCreating(id: string): boolean {
    return this.inProgress.has(id);
  }

  /** Resolves when the call that creates this pod has ended, well or not; undefined if there is none. */
  whenCreated(id: string): Promise<void> | undefined {
    return this.inProgress.get(id);
  }

  private async specOf(config: PodSandboxConfig, runtimeHandler: string): Promise<DockerContainerSpec> {
    const environment = this.inventory.environment();
    const context = config.linux?.securityContext;
    const { docker, host, inventory, log, config: shimConfig } = this;
    const field = "config.linux.security_context";
    await requireApparmorProfile(context, field, { docker, host, inventory, log, config: shimConfig });
    const seccompProfile = await readSeccompProfile(context, host);
    return sandboxSpec(config, runtimeHandler, shimConfig.sandboxImage, environment, { seccompProfile });
  }

  private async createFor(
    caller: Caller,
    spec: DockerContainerSpec,
    config: PodSandboxConfig,
  ): Promise<string> {
    const { name } = spec;
    const { signal } = caller;
    const hasGone = () => signal.aborted;
    if (hasGone()) throw abortError("RunPodSandbox", signal.reason);
    try {
      const id = await this.create(caller, spec, config);
      const isAwaited = [...this.waiting].some((call) => call.name === name && !call.signal.aborted);
      if (!hasGone()) this.returned.add(id);
      else if (!isAwaited) await this.teardown.undo(id, "its caller has gone");
      return id;
    } catch (error) {
      if (hasGone())
        this.log.warn({ err: error, name }, "RunPodSandbox failed after its caller disconnected");
      throw error;
    }
  }

  private async create(caller: Caller, spec: DockerContainerSpec, config: PodSandboxConfig): Promise<string> {
    await this.ensureImage(caller);
    const { id, adopted } = await createNamed(spec, {
      docker: this.docker,
      inventory: this.inventory,
      log: this.log,
      deadlineMs: this.config.runtimeRequestTimeoutMs,
      judge: (holder) => this.judge(holder),
      removeLeftover: (leftover) => this.teardown.remove(leftover),
    });
    if (adopted) return id;
    const work = this.bringUpOrUndo(id, spec, config).finally(() => this.inProgress.delete(id));
    const ended = () => undefined;
    this.inProgress.set(id, work.then(ended, ended));
    await work;
    return id;
  }

  private async bringUpOrUndo(
    id: string,
    spec: DockerContainerSpec,
    config: PodSandboxConfig,
  ): Promise<void> {
    try {
      await this.bringUp(id, spec, config);
    } catch (error) {
      await this.teardown.undo(id, messageOf(error));
      throw error;
    }
  }

  private async ensureImage({ signal, timeoutMs }: Caller): Promise<void> {
    const leftMs = timeoutMs?.();
    if (leftMs === undefined) return this.images.ensureSandboxImage(signal);
    const deadlineMs = Math.round(Math.max(0, leftMs - Math.min(marginMs, leftMs / 10)));
    const timeoutText =
      `RunPodSandbox: the sandbox image ${this.config.sandboxImage} is not on the node, and its pull did not end within ` +
      `the ${deadlineMs} ms that the caller waits`;
    await withDeadline("RunPodSandbox", { signal, deadlineMs, timeoutText }, (ended) =>
      this.images.ensureSandboxImage(ended),
    );
  }

  /** Whether a running pod that was returned to no caller is complete, and can be adopted, or is left over from a crash. */
  private async judge(id: string): Promise<HolderJudgement | undefined> {
    if (this.returned.has(id) || this.inProgress.has(id)) return undefined;
    // A pod with containers was returned to its caller. A restarted kubelet with an empty cache may request it again.
    if (this.inventory.workloadsOf(id).length > 0) return undefined;
    const record = await this.inventory.refresh(id);
    if (record?.kind !== "sandbox" || !isReady(record.docker)) return undefined;
    const checkpoint = await this.checkpoints.read(id);
    return checkpoint && (checkpoint.unfinished ? "unfinished" : "whole");
  }

  private async bringUp(id: string, spec: DockerContainerSpec, config: PodSandboxConfig): Promise<void> {
    const hostNetwork = spec.host.networkMode === "host";
    const checkpoint = checkpointOf(config, hostNetwork);
    await this.checkpoints.write(id, checkpoint);
    await this.docker.containers.start(id);
    const record = await this.inventory.refresh(id);
    if (record?.kind !== "sandbox" || !record.docker.state.running) {
      throw new ShimError(
        "unavailable",
        `the sandbox container ${id} exited immediately after its start: check dockerd's log`,
      );
    }
    await this.writeResolvConf(record, config);
    if (!hostNetwork) await this.network.attach(podToAttach(record, checkpoint, config), {});
    await this.checkpoints.write(id, { ...checkpoint, unfinished: false });
  }

  /** Replaces the content of Docker's resolv.conf, a file that the pod's containers share. */
  private async writeResolvConf({ docker }: SandboxRecord, config: PodSandboxConfig): Promise<void> {
    const text = config.dnsConfig && resolvConf(config.dnsConfig);
    if (text === undefined || !docker.resolvConfPath) return;
    try {
      await this.host.files.overwrite(docker.resolvConfPath, text);
    } catch (error) {
      throw fileFailure(`cannot write the pod's resolv.conf ${docker.resolvConfPath}`, error);
    }
  }
}
