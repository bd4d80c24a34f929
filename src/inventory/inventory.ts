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
import { engineEnvironment, type EngineEnvironment } from "../translate/index.js";
import { ContainerIndex } from "./container-index.js";
import { ExecEnds } from "./exec-ends.js";
import { Follower, type Freshness } from "./follower.js";
import { ImageIndex } from "./image-index.js";
import { Inspector } from "./inspector.js";
import type { LifeEvent } from "./life-events.js";
import { OomKills } from "./oom-kills.js";
import { fromSpec, type ContainerRecord, type SandboxRecord, type WorkloadRecord } from "./record.js";

/** The engine's version and configuration as of the last connect or reload. */
export interface EngineFacts {
  readonly version: DockerVersion;
  readonly info: DockerInfo;
  readonly apiVersion: readonly [number, number];
  /** The features that a create may use. */
  readonly environment: EngineEnvironment;
}

export type ConnectionState = { readonly ok: true } | { readonly ok: false; readonly message: string };

/**
 * The cache of pods, containers and images, kept current by Docker's events. It subscribes, then lists, then serves;
 * reads never call Docker. While Docker is unreachable it serves the last known state, and {@link Inventory.connection}
 * has the reason. Before the first sync every read throws "unavailable".
 */
@injectable()
export class Inventory {
  readonly images: ImageIndex;
  readonly execEnds = new ExecEnds();
  private readonly containers: ContainerIndex;
  private readonly listeners = new Set<(event: LifeEvent) => unknown>();
  private readonly follower: Follower;
  private readonly oomKills: OomKills | undefined;
  private readonly factsWaiters = new Set<() => void>();
  private readonly readyWaiters = new Set<() => void>();
  private facts: EngineFacts | undefined;
  private synced = false;
  private answers = true;
  private connected: ConnectionState = { ok: false, message: "the first sync with Docker is under way" };

  constructor(
    @inject(DockerService) private readonly docker: DockerService,
    @inject(Host) private readonly host: Host,
    @inject(ShimConfig) private readonly config: ShimConfig,
    @inject(Logger) private readonly log: Logger,
  ) {
    // The processes, the kernel log and the clock of another machine are not available here.
    const local = isEngineLocal(config);
    this.oomKills = local ? new OomKills(host.kernel, log) : undefined;
    this.images = new ImageIndex(docker, log);
    this.containers = new ContainerIndex({
      inspector: new Inspector({
        docker,
        log,
        isAlive: local ? (pid) => host.processes.isAlive(pid) : undefined,
        oomKills: this.oomKills,
        imageLabels: (imageId) => this.images.labelsOf(imageId),
      }),
      log,
      sameClock: local,
      onLifeEvent: (event) => {
        this.emit(event);
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

  /** Starts to follow Docker's events; returns at once. */
  start(): void {
    this.oomKills?.start();
    this.follower.start();
  }

  /** Resolves after the first sync. @throws ShimError "deadline-exceeded" when the deadline comes first. */
  async whenReady(options: CallOptions = {}): Promise<void> {
    if (!this.synced) await withDeadline("inventory.whenReady", options, waiter(this.readyWaiters));
  }

  /** Resolves when the engine is known, before the first sync. @throws ShimError as {@link Inventory.whenReady} does. */
  async whenEngineKnown(options: CallOptions = {}): Promise<void> {
    if (!this.facts) await withDeadline("inventory.whenEngineKnown", options, waiter(this.factsWaiters));
  }

  /** Stops following; leaves no timer and no connection. */
  async close(): Promise<void> {
    const closing = this.follower.close();
    this.containers.close();
    for (const done of [...this.factsWaiters, ...this.readyWaiters]) done();
    await closing;
    await this.oomKills?.close();
  }

  /** Whether Docker is reachable now. */
  get connection(): ConnectionState {
    return this.connected;
  }

  /** How current the cache is, and how often it had to be corrected. */
  get freshness(): Freshness {
    return this.follower.freshness;
  }

  /** True once the first sync is done. */
  get isReady(): boolean {
    return this.synced;
  }

  /** True while the first sync is under way, and Docker has not failed to answer. */
  get isReading(): boolean {
    return this.answers && !this.synced;
  }

  /** True once Docker has answered: {@link Inventory.engine} has an answer. */
  get isEngineKnown(): boolean {
    return this.facts !== undefined;
  }

  /** @throws ShimError "unavailable" before Docker has answered. */
  engine(): EngineFacts {
    if (!this.facts) throw this.notReady();
    return this.facts;
  }

  /** The features that a create may use on this engine and node. @throws ShimError "unavailable" before the first sync. */
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

  /**
   * Inspects a container once, also after a change of our own. Never throws.
   * @returns The record as of an inspect that was sent after this call, or as last known when Docker did not answer;
   *   undefined when the container is gone.
   */
  refresh(id: string): Promise<ContainerRecord | undefined> {
    return this.containers.refresh(id);
  }

  /** The same for a container that we have just created; it is shown as requested while Docker does not answer. */
  created(id: string, spec: DockerContainerSpec): Promise<void> {
    const imageId = spec.config.image === undefined ? undefined : this.images.find(spec.config.image)?.id;
    return this.containers.describe(fromSpec(id, spec, { createdAtNanos: nowNanos(), imageId }));
  }

  /** Hides a container that we have removed. */
  removed(id: string): void {
    this.containers.removed(id);
  }

  /**
   * Calls `listener`, which may be async, with each life event of every container, once and in order. It is not waited
   * for; its errors are logged.
   * @returns Ends the subscription.
   */
  subscribe(listener: (event: LifeEvent) => unknown): () => void {
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
    if (id === "") throw new ShimError("invalid-argument", `the ${kind} ID is empty`);
    const exact = this.containers.get(id);
    if (exact && isOfKind(exact, kind)) return exact;
    const matches = this.ofKind(kind).filter((record) => record.id.startsWith(id));
    const [match] = matches;
    if (match && matches.length === 1) return match;
    if (matches.length > 1) {
      throw new ShimError(
        "invalid-argument",
        `${matches.length} ${kind} IDs begin with "${id}"; use a longer prefix`,
      );
    }
    const hint = exact ? `: it is a ${exact.kind}` : "";
    throw new ShimError("not-found", `no ${kind} with ID "${id}"${hint}`);
  }

  private notReady(): ShimError {
    const why = this.connected.ok ? "" : `: ${this.connected.message}`;
    return new ShimError("unavailable", `docker-cri has not yet read Docker's state${why}`);
  }

  private emit(event: LifeEvent): void {
    for (const listener of this.listeners) void this.notify(listener, event);
  }

  private async notify(listener: (event: LifeEvent) => unknown, event: LifeEvent): Promise<void> {
    try {
      await listener(event);
    } catch (error) {
      this.log.error({ err: error, container: event.record.id }, "a listener of the inventory failed");
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
      this.log.warn(
        { err: message },
        "lost the connection to Docker: serving the last known state until it is back",
      );
    }
    this.connected = { ok: false, message };
    this.answers = false;
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
    this.answers = true;
    for (const done of [...this.factsWaiters]) done();
  }
}

/** Resolves when one of `waiters` is called, or at the abort. */
function waiter(waiters: Set<() => void>): (signal: AbortSignal) => Promise<void> {
  return (signal) =>
    new Promise((resolve) => {
      const done = () => {
        waiters.delete(done);
        resolve();
      };
      waiters.add(done);
      onAbort(signal, done);
    });
}

function isOfKind<K extends ContainerRecord["kind"]>(
  record: ContainerRecord,
  kind: K,
): record is Extract<ContainerRecord, { kind: K }> {
  return record.kind === kind;
}
