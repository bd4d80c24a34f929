import type { DockerService } from "../../docker/index.js";
import type { MemoryCallCounter } from "./calls.js";
import { Connection, daemonDown } from "./connection.js";
import type { Container } from "./containers/container.js";
import type { ContainerFigures } from "./containers/figures.js";
import { MemoryContainers } from "./containers/containers.js";
import { oomContainer, pauseContainer, unpauseContainer } from "./containers/lifecycle.js";
import { MemoryEngine } from "./engine.js";
import { MemoryExecs } from "./execs.js";
import type { Faults } from "./faults.js";
import { MemoryHost } from "./host/index.js";
import { randomId } from "./ids.js";
import { asImage, type MemoryImage } from "./images/image.js";
import { MemoryImages } from "./images/images.js";
import type { Registry } from "./images/registry.js";
import { SIGKILL } from "./processes/signals.js";
import { defaultSettings, type EngineSettings } from "./settings.js";
import { MemoryEvents } from "./subscription.js";
import { MemorySystem } from "./system.js";

/** The options of a memory engine. */
export interface MemoryDockerOptions {
  /** Images that are present from the start; every registry has them too. */
  readonly images?: readonly (string | MemoryImage)[];
  /** The node of the engine; a new one when absent. */
  readonly host?: MemoryHost;
  readonly settings?: Partial<EngineSettings>;
}

/** A client of a memory engine. Closing it does not affect the engine. */
class MemoryConnection implements DockerService {
  readonly containers: MemoryContainers;
  readonly images: MemoryImages;
  readonly execs: MemoryExecs;
  readonly events: MemoryEvents;
  readonly system: MemorySystem;
  private readonly connection: Connection;

  constructor(
    protected readonly engine: MemoryEngine,
    engineId: string,
  ) {
    this.connection = new Connection(engine);
    engine.connections.add(this.connection);
    this.containers = new MemoryContainers(this.connection);
    this.images = new MemoryImages(this.connection);
    this.execs = new MemoryExecs(this.connection);
    this.events = new MemoryEvents(this.connection);
    this.system = new MemorySystem(this.connection, engineId);
  }

  close(): Promise<void> {
    this.connection.close();
    this.engine.connections.delete(this.connection);
    return Promise.resolve();
  }
}

/**
 * A Docker Engine in memory, and a client of it. It has Docker's ids, states, events, names, logs and execs; its
 * programs are functions, and faults can be injected.
 */
export class MemoryDocker extends MemoryConnection {
  private readonly engineId: string;

  constructor(options: MemoryDockerOptions = {}) {
    const settings = { ...defaultSettings, timing: { ...defaultSettings.timing }, ...options.settings };
    const engineId = randomId().slice(0, 32);
    super(new MemoryEngine(settings, options.host ?? new MemoryHost()), engineId);
    this.engineId = engineId;
    for (const name of ["registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.10"]) this.registry.add(name);
    for (const image of options.images ?? []) {
      this.registry.add(image);
      this.load(image);
    }
  }

  /** The node on which the engine runs: share it with the shim. */
  get host(): MemoryHost {
    return this.engine.host;
  }

  /** The engine's faults. */
  get faults(): Faults {
    return this.engine.faults;
  }

  /** Counts of calls and open streams. */
  get calls(): MemoryCallCounter {
    return this.engine.calls;
  }

  /** The registries for pulls. */
  get registry(): Registry {
    return this.engine.registry;
  }

  /** The engine's properties; they can be changed at any time. */
  get settings(): EngineSettings {
    return this.engine.settings;
  }

  /** Creates another client of the same engine. */
  connect(): DockerService {
    return new MemoryConnection(this.engine, this.engineId);
  }

  /** Adds an image, as `docker load` does. */
  load(image: string | MemoryImage): { readonly id: string; readonly manifestDigest: string } {
    const stored = this.engine.images.add(asImage(image));
    this.engine.events.emit("image", "load", stored.id, { name: stored.id });
    return { id: stored.id, manifestDigest: stored.manifestDigest };
  }

  /** Ends the first process of a container with an exit code. */
  exit(id: string, code: number): void {
    this.find(id, "exit").run?.process.finish(code);
  }

  /** Kills the first process of a container as the kernel's out-of-memory killer does. */
  oom(id: string): void {
    oomContainer(this.engine, this.find(id, "oom"));
  }

  /** Sets the resource use of a container, as the node's kernel counts it; absent values do not change. */
  use(id: string, figures: Partial<ContainerFigures>): void {
    Object.assign(this.find(id, "use").figures, figures);
  }

  /** Freezes a container, as `docker pause` does. */
  pause(id: string): void {
    pauseContainer(this.engine, this.find(id, "pause"));
  }

  unpause(id: string): void {
    unpauseContainer(this.engine, this.find(id, "unpause"));
  }

  /** Renames a container, as `docker rename` does. */
  rename(id: string, name: string): void {
    const container = this.find(id, "rename");
    const oldName = container.name;
    this.engine.names.delete(oldName);
    this.engine.names.set(name, container.id);
    container.name = name;
    this.engine.emit(container, "rename", { oldName: `/${oldName}` });
  }

  /** From now on no signal reaches the container's first process, not even SIGKILL. */
  makeUnkillable(id: string): void {
    const process = this.find(id, "makeUnkillable").run?.process;
    if (process) process.stuck = true;
  }

  /** Removes the container's first process without the engine noticing it. */
  makeGhost(id: string): void {
    const process = this.find(id, "makeGhost").run?.process;
    if (process) this.host.processTable.forget(process.pid);
  }

  /** Stops the daemon: calls and streams fail with `unavailable`; without live restore containers are killed. */
  async stop(): Promise<void> {
    if (!this.engine.up) return;
    this.engine.endLife(daemonDown);
    if (!this.settings.liveRestore) this.killAll();
    await Promise.resolve();
  }

  /** Starts the daemon again, without its earlier events and execs. */
  async start(): Promise<void> {
    if (this.engine.up) return;
    this.engine.events.forget();
    this.engine.execs.clear();
    this.engine.beginLife();
    await Promise.resolve();
  }

  /** Ends the engine: no process, timer or stream is left. */
  override async close(): Promise<void> {
    this.engine.endLife(daemonDown);
    this.killAll();
    await super.close();
  }

  private killAll(): void {
    for (const { run } of this.engine.containers.values()) {
      if (!run) continue;
      run.process.stuck = false;
      run.process.send(SIGKILL);
    }
  }

  private find(id: string, operation: string): Container {
    return this.engine.container(id, operation);
  }
}

/** Creates a memory engine: `createMemoryDocker({ images: ["busybox:1.36"] })`. */
export function createMemoryDocker(options: MemoryDockerOptions = {}): MemoryDocker {
  return new MemoryDocker(options);
}
