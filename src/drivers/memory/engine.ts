import { ShimError } from "../../base/index.js";
import { MemoryCallCounter } from "./calls.js";
import { Clock } from "./clock.js";
import type { Container, Exec } from "./containers/container.js";
import { EventHub, streamBroken } from "./events.js";
import { Faults, type DockerMethod } from "./faults.js";
import type { MemoryHost } from "./host/index.js";
import { ImageStore } from "./images/image-store.js";
import { Registry } from "./images/registry.js";
import { Addresses } from "./network.js";
import type { EngineSettings } from "./settings.js";

/** The engine's data directory on its host, the same as Docker's. */
export const dataRoot = "/var/lib/docker";

/** The part of a connection that the engine needs. */
interface OpenConnection {
  breakOff(errorOf: (method: DockerMethod) => ShimError, isMeant: (method: DockerMethod) => boolean): void;
}

/** The state of the engine, shared by all its connections. */
export class MemoryEngine {
  readonly clock = new Clock();
  readonly events = new EventHub(this.clock);
  readonly images = new ImageStore();
  readonly registry = new Registry();
  readonly calls = new MemoryCallCounter();
  readonly addresses = new Addresses();
  readonly faults: Faults;
  readonly containers = new Map<string, Container>();
  /** Container ids by name. */
  readonly names = new Map<string, string>();
  readonly execs = new Map<string, Exec>();
  readonly connections = new Set<OpenConnection>();
  /** False while the daemon is stopped. */
  up = true;

  private lifetime = new AbortController();

  constructor(
    readonly settings: EngineSettings,
    readonly host: MemoryHost,
  ) {
    host.tree.makeDirectory(dataRoot, 0o710);
    this.faults = new Faults(
      {
        drop: (count) => {
          this.events.drop(count);
        },
        delay: (ms) => {
          this.events.delay(ms);
        },
        breakStream: () => {
          this.breakStreams("events.subscribe");
        },
        silence: () => {
          this.events.silence();
        },
      },
      (method) => {
        this.breakStreams(method);
      },
    );
  }

  /** Aborts when the daemon stops. */
  get life(): AbortSignal {
    return this.lifetime.signal;
  }

  /** Stops the daemon; everything that waits in it ends. */
  endLife(error: (operation: string) => ShimError): void {
    this.up = false;
    for (const connection of this.connections) connection.breakOff(error, () => true);
    this.lifetime.abort(error("engine"));
    this.events.forget();
  }

  beginLife(): void {
    this.up = true;
    this.lifetime = new AbortController();
  }

  /**
   * Finds a container by id, name or unambiguous prefix, in Docker's order.
   * @throws ShimError "not-found"; "invalid-argument" for a prefix of several.
   */
  container(reference: string, operation: string): Container {
    const found = this.lookup(reference);
    const [only] = found;
    if (found.length > 1) {
      throw new ShimError(
        "invalid-argument",
        `${operation}: ${found.length} containers have ids that begin with ${reference}; write more of it`,
        { operation },
      );
    }
    if (only) return only;
    throw new ShimError("not-found", `${operation}: no such container: ${reference}`, { operation });
  }

  /** As {@link container}; undefined where that throws. */
  peek(reference: string): Container | undefined {
    const [only, ...others] = this.lookup(reference);
    return others.length === 0 ? only : undefined;
  }

  /** For faults: whether two references mean the same container. */
  isContainer(reference: string): (id: string) => boolean {
    return (id) =>
      id === reference || this.lookup(id).some((found) => this.lookup(reference).includes(found));
  }

  private lookup(reference: string): Container[] {
    const exact = this.containers.get(reference);
    if (exact) return [exact];
    const named = this.containers.get(this.names.get(reference.replace(/^\//, "")) ?? "");
    if (named) return [named];
    if (!/^[0-9a-f]{1,63}$/.test(reference)) return [];
    return [...this.containers.values()].filter(({ id }) => id.startsWith(reference));
  }

  /** Emits an event of a container. */
  emit(container: Container, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    this.events.emit("container", action, container.id, {
      ...container.config.labels,
      image: container.config.image ?? "",
      name: container.name,
      ...attributes,
    });
  }

  private breakStreams(wanted: DockerMethod | undefined): void {
    const isMeant = (method: DockerMethod) =>
      streaming.has(method) && (wanted === undefined || method === wanted);
    for (const connection of this.connections) connection.breakOff(streamBroken, isMeant);
  }
}

const streaming: ReadonlySet<DockerMethod> = new Set<DockerMethod>([
  "containers.logs",
  "containers.attach",
  "containers.export",
  "execs.start",
  "events.subscribe",
  "images.pull",
]);
