import { inject, injectable } from "../base/injection.js";
import {
  Logger,
  messageOf,
  nowNanos,
  onAbort,
  ShimError,
  withDeadline,
  type CallOptions,
} from "../base/index.js";
import { isEngineLocal, ShimConfig } from "../config/index.js";
import {
  DockerService,
  type DockerContainerSpec,
  type DockerInfo,
  type DockerVersion,
} from "../docker/index.js";
import { Host } from "../host/index.js";
import type { LifeEvent } from "./changes.js";
import { engineEnvironment, type EngineEnvironment } from "../translate/index.js";
import { ContainerIndex } from "./container-index.js";
import { ExecEnds } from "./exec-ends.js";
import { Follower } from "./follower.js";
import { ImageIndex } from "./image-index.js";
import { OomKills } from "./oom-kills.js";
import {
  fromSpec,
  type ChangedTo,
  type ContainerRecord,
  type SandboxRecord,
  type WorkloadRecord,
} from "./record.js";

/** What the engine said of itself when the connection was made. */
export interface EngineFacts {
  readonly version: DockerVersion;
  readonly info: DockerInfo;
  readonly apiVersion: readonly [number, number];
  /** What a create may ask for. */
  readonly environment: EngineEnvironment;
}

export type ConnectionState = { readonly ok: true } | { readonly ok: false; readonly message: string };

/**
 * What exists now: pods, containers and images, kept true by Docker's events. It subscribes, then lists, then
 * serves; nothing that reads it asks Docker. While Docker is away it shows what was last known, and says so
 * in {@link Inventory.connection}; before the first sync every read throws "unavailable".
 */
@injectable()
export class Inventory {
  readonly images: ImageIndex;
  readonly execEnds = new ExecEnds();
  private readonly containers: ContainerIndex;
  private readonly listeners = new Set<(step: LifeEvent) => void>();
  private readonly follower: Follower;
  private readonly oomKills: OomKills | undefined;
  private readonly readyWaiters = new Set<() => void>();
  private facts: EngineFacts | undefined;
  private synced = false;
  private connected: ConnectionState = { ok: false, message: "the first sync with Docker is under way" };

  constructor(
    @inject(DockerService) private readonly docker: DockerService,
    @inject(Host) private readonly host: Host,
    @inject(ShimConfig) private readonly config: ShimConfig,
    @inject(Logger) private readonly log: Logger,
  ) {
    // Another machine's processes and kernel cannot be seen here, and its clock is not ours.
    const local = isEngineLocal(config);
    this.oomKills = local ? new OomKills(host.kernel, log) : undefined;
    this.images = new ImageIndex(docker, log);
    this.containers = new ContainerIndex({
      docker,
      log,
      isAlive: local ? (pid) => host.processes.isAlive(pid) : undefined,
      oomKills: this.oomKills,
      sameClock: local,
      imageLabels: (imageId) => this.images.labelsOf(imageId),
      onStep: (step) => {
        this.tell(step);
      },
    });
    const { containers, images, execEnds } = this;
    this.follower = new Follower({
      docker,
      log,
      containers,
      images,
      execEnds,
      readFacts: (options) => this.readFacts(options),
      onSynced: () => {
        this.inSync();
      },
      onLost: (error) => {
        this.lost(error);
      },
    });
  }

  /** Starts to follow Docker; returns at once. */
  start(): void {
    this.oomKills?.start();
    this.follower.start();
  }

  /** Resolves after the first sync. @throws ShimError "unavailable" when the deadline comes first. */
  async whenReady(options: CallOptions = {}): Promise<void> {
    if (this.synced) return;
    await withDeadline(
      "inventory.whenReady",
      options,
      (signal) =>
        new Promise<void>((resolve) => {
          const done = () => {
            this.readyWaiters.delete(done);
            resolve();
          };
          this.readyWaiters.add(done);
          onAbort(signal, done);
        }),
    );
  }

  /** Stops following; leaves no timer and no connection. */
  async close(): Promise<void> {
    const closing = this.follower.close();
    this.containers.close();
    for (const done of [...this.readyWaiters]) done();
    await closing;
    await this.oomKills?.close();
  }

  /** Whether Docker answers now. */
  get connection(): ConnectionState {
    return this.connected;
  }

  /** True once the first sync is done. */
  get isReady(): boolean {
    return this.synced;
  }

  /** @throws ShimError "unavailable" before the first sync. */
  engine(): EngineFacts {
    if (!this.facts) throw this.notReady();
    return this.facts;
  }

  /** What a create may ask for on this engine and node. @throws ShimError "unavailable" before the first sync. */
  environment(): EngineEnvironment {
    return this.engine().environment;
  }

  sandboxes(): SandboxRecord[] {
    return this.ofKind("sandbox");
  }

  workloads(): WorkloadRecord[] {
    return this.ofKind("container");
  }

  /**
   * Finds a sandbox by its id or an unambiguous prefix of it.
   * @throws ShimError "not-found"; "invalid-argument" for an empty id.
   */
  sandbox(id: string): SandboxRecord {
    return this.find("sandbox", id);
  }

  /** Finds a container likewise. */
  workload(id: string): WorkloadRecord {
    return this.find("container", id);
  }

  /** The containers of a sandbox. @param sandboxId The full id. */
  workloadsOf(sandboxId: string): WorkloadRecord[] {
    this.assertReady();
    return this.containers.inSandbox(sandboxId).filter((record) => record.kind === "container");
  }

  /** The record of a full id, of either kind. */
  record(id: string): ContainerRecord | undefined {
    return this.containers.get(id);
  }

  /** What subscribers have been told of a container: Docker's word, if perhaps an older one. */
  told(id: string): ContainerRecord | undefined {
    return this.containers.told(id);
  }

  /** Resolves when the inventory shows what Docker says of the container now. */
  refresh(id: string): Promise<ContainerRecord | undefined> {
    return this.containers.refresh(id);
  }

  /**
   * Takes note of a container of one's own. It is shown at once, as it was asked for; Docker's word on it follows,
   * and {@link Inventory.confirmed} waits for that.
   */
  created(id: string, spec: DockerContainerSpec): void {
    const imageId = spec.config.image === undefined ? undefined : this.images.find(spec.config.image)?.id;
    this.containers.created(fromSpec(id, spec, { createdAtNanos: nowNanos(), imageId }));
  }

  /**
   * Makes a change of one's own, a start or a stop, and shows its effect at its end rather than with each of
   * Docker's events. Docker's word on it follows, as for {@link Inventory.created}.
   * @param to What the container is once `work` has succeeded.
   * @throws What `work` throws, once the inventory shows what is true.
   */
  change(id: string, to: ChangedTo, work: () => Promise<void>): Promise<void> {
    return this.containers.change(id, to, work);
  }

  /**
   * Waits until what is shown of a container is Docker's word, and not what a change of one's own is taken to have
   * done; or until Docker has had its time to answer.
   * @param id The full id.
   * @returns The record then; undefined when the container is gone.
   */
  confirmed(id: string): Promise<ContainerRecord | undefined> {
    return this.containers.confirmed(id);
  }

  /** Waits likewise for all containers, but not long. */
  allConfirmed(): Promise<void> {
    return this.containers.allConfirmed();
  }

  /** Takes note of a removal of one's own. */
  removed(id: string): void {
    this.containers.forget(id);
  }

  /** Hears every step of every container, each once and in order. @returns Ends the subscription. */
  subscribe(listener: (step: LifeEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** @throws ShimError "unavailable" before the first sync. */
  assertReady(): void {
    if (!this.synced) throw this.notReady();
  }

  private ofKind<K extends ContainerRecord["kind"]>(kind: K): Extract<ContainerRecord, { kind: K }>[] {
    this.assertReady();
    const found: Extract<ContainerRecord, { kind: K }>[] = [];
    for (const record of this.containers.records()) {
      if (isOfKind(record, kind)) found.push(record);
    }
    return found;
  }

  private find<K extends ContainerRecord["kind"]>(
    kind: K,
    id: string,
  ): Extract<ContainerRecord, { kind: K }> {
    this.assertReady();
    if (id === "") throw new ShimError("invalid-argument", `no ${kind} id was given`);
    const exact = this.containers.get(id);
    if (exact && isOfKind(exact, kind)) return exact;
    const matches = this.ofKind(kind).filter((record) => record.id.startsWith(id));
    const [match] = matches;
    if (match && matches.length === 1) return match;
    if (matches.length > 1) {
      throw new ShimError("invalid-argument", `${matches.length} ${kind} ids begin with "${id}"`);
    }
    const hint = exact ? `: it is a ${exact.kind}` : "";
    throw new ShimError("not-found", `no ${kind} has the id "${id}"${hint}`);
  }

  private notReady(): ShimError {
    const why = this.connected.ok ? "" : `: ${this.connected.message}`;
    return new ShimError("unavailable", `docker-cri has not yet read Docker's state${why}`);
  }

  private tell(step: LifeEvent): void {
    for (const listener of this.listeners) {
      try {
        listener(step);
      } catch (error) {
        this.log.error({ err: error }, "a listener of the inventory failed");
      }
    }
  }

  private inSync(): void {
    this.synced = true;
    this.connected = { ok: true };
    for (const done of [...this.readyWaiters]) done();
  }

  private lost(error: unknown): void {
    const message = messageOf(error);
    if (this.connected.ok || this.connected.message !== message) {
      this.log.warn({ err: message }, "lost Docker; the last known state is shown until it is back");
    }
    this.connected = { ok: false, message };
  }

  private async readFacts(options: CallOptions): Promise<void> {
    const apiVersion = await this.docker.system.apiVersion(options);
    const [version, info, oomScoreAdj] = await Promise.all([
      this.docker.system.version(options),
      this.docker.system.info(options),
      this.host.processes.ownOomScoreAdj(),
    ]);
    const { config, host } = this;
    const kernelRelease = host.kernel.release;
    const environment = engineEnvironment({ info, apiVersion, kernelRelease, oomScoreAdj, config });
    this.facts = { version, info, apiVersion, environment };
  }
}

function isOfKind<K extends ContainerRecord["kind"]>(
  record: ContainerRecord,
  kind: K,
): record is Extract<ContainerRecord, { kind: K }> {
  return record.kind === kind;
}
