import { pack } from "tar-stream";
import { ShimError, sleep, type CallOptions } from "../../../base/index.js";
import type {
  AttachedStream,
  AttachOptions,
  DockerContainer,
  DockerContainers,
  DockerContainerSpec,
  DockerContainerSummary,
  DockerResources,
  LogFrame,
  LogOptions,
  TerminalSize,
} from "../../../docker/index.js";
import type { CallSubject, Connection } from "../connection.js";
import type { DockerMethod } from "../faults.js";
import { requireSignal, SIGKILL } from "../processes/signals.js";
import { attachTo } from "./attach.js";
import { rewriteLimits } from "./limits.js";
import type { Container } from "./container.js";
import { createContainer } from "./create.js";
import { inspectContainer, summarise } from "./inspect.js";
import { killContainer, removeContainer, startContainer, stopContainer } from "./lifecycle.js";
import { requireMounts } from "./mounts.js";
import { mergeResources } from "./resources.js";

/** Docker's own slack beyond the grace period of a stop, in milliseconds. */
const stopSlackMs = 30_000;

/** The containers of the memory engine. */
export class MemoryContainers implements DockerContainers {
  constructor(private readonly connection: Connection) {}

  private get engine() {
    return this.connection.engine;
  }

  /** Runs a call about one container. */
  private async on<T>(
    method: DockerMethod,
    id: string,
    options: CallOptions | undefined,
    effect: (container: Container) => T | Promise<T>,
    more: CallSubject = {},
  ): Promise<T> {
    const subject = { matches: this.engine.isContainer(id), ...more };
    return await this.connection.call(method, options, subject, () =>
      effect(this.engine.container(id, method)),
    );
  }

  async list(
    filter: { readonly labels?: Readonly<Record<string, string | undefined>> } = {},
    options?: CallOptions,
  ): Promise<DockerContainerSummary[]> {
    return await this.connection.call("containers.list", options, {}, () => {
      const wanted = Object.entries(filter.labels ?? {});
      return [...this.engine.containers.values()]
        .filter(({ config: { labels = {} } }) =>
          wanted.every(
            ([key, value]) => Object.hasOwn(labels, key) && (value === undefined || labels[key] === value),
          ),
        )
        .reverse()
        .map((container) => summarise(this.engine, container));
    });
  }

  async inspect(id: string, options?: CallOptions): Promise<DockerContainer> {
    return await this.on("containers.inspect", id, options, (container) =>
      inspectContainer(this.engine, container),
    );
  }

  async create(
    spec: DockerContainerSpec,
    options?: CallOptions,
  ): Promise<{ id: string; warnings: string[] }> {
    const { engine } = this;
    const subject: CallSubject = { matches: (id) => id === spec.name, uncut: true };
    return await this.connection.call("containers.create", options, subject, async () => {
      if (engine.settings.timing.createMs > 0) await sleep(engine.settings.timing.createMs, engine.life);
      return { id: createContainer(engine, structuredClone(spec)).id, warnings: [] };
    });
  }

  async start(id: string, options?: CallOptions): Promise<void> {
    await this.on("containers.start", id, options, (container) => startContainer(this.engine, container));
  }

  async stop(id: string, options: CallOptions & { readonly graceSeconds: number }): Promise<void> {
    const deadlineMs = options.graceSeconds * 1000 + stopSlackMs;
    await this.on(
      "containers.stop",
      id,
      options,
      (container) => stopContainer(this.engine, container, options.graceSeconds),
      { deadlineMs },
    );
  }

  async kill(id: string, options: CallOptions & { readonly killSignal?: string } = {}): Promise<void> {
    await this.on("containers.kill", id, options, (container) => {
      const { killSignal } = options;
      const signal = killSignal === undefined ? SIGKILL : requireSignal(killSignal, "containers.kill");
      return killContainer(this.engine, container, signal);
    });
  }

  async remove(id: string, options: CallOptions & { readonly force?: boolean } = {}): Promise<void> {
    await this.on("containers.remove", id, options, (container) =>
      removeContainer(this.engine, container, options.force === true),
    );
  }

  async update(id: string, resources: DockerResources, options?: CallOptions): Promise<void> {
    const operation = "containers.update";
    await this.on(operation, id, options, (container) => {
      if (container.removing) {
        throw new ShimError("conflict", `${operation}: ${container.name} is being removed`, { operation });
      }
      const merged = mergeResources(container.host.resources ?? {}, resources, this.engine.settings);
      container.host = { ...container.host, resources: merged };
      rewriteLimits(this.engine, container);
      this.engine.emit(container, "update");
    });
  }

  async *logs(id: string, options: LogOptions = {}): AsyncGenerator<readonly LogFrame[]> {
    const operation = "containers.logs";
    const subject = { matches: this.engine.isContainer(id) };
    const entries = this.connection.stream(operation, options, subject, (signal) => {
      const container = this.engine.container(id, operation);
      const driver = container.host.logConfig?.driver;
      if (driver === "none") {
        throw new ShimError("unsupported", `${operation}: the log driver none keeps no log to read`, {
          operation,
        });
      }
      if (options.stdout === false && options.stderr === false) {
        throw new ShimError("invalid-argument", `${operation}: ask for stdout, stderr or both`, {
          operation,
        });
      }
      const process = container.run?.process;
      return container.log.read(options, () => process?.alive !== true, signal);
    });
    for await (const entry of entries) yield [entry];
  }

  async attach(id: string, options: CallOptions & AttachOptions): Promise<AttachedStream> {
    return await this.on("containers.attach", id, options, (container) =>
      attachTo(this.connection, container, options),
    );
  }

  async resize(id: string, size: TerminalSize, options?: CallOptions): Promise<void> {
    const operation = "containers.resize";
    await this.on(operation, id, options, (container) => {
      if (!container.run) {
        throw new ShimError("conflict", `${operation}: ${container.name} is not running`, { operation });
      }
      container.run.terminal?.resize(size);
      this.engine.emit(container, "resize", { height: String(size.height), width: String(size.width) });
    });
  }

  export(id: string, options?: CallOptions): AsyncIterable<Uint8Array> {
    const operation = "containers.export";
    return this.connection.stream(operation, options, { matches: this.engine.isContainer(id) }, () => {
      const container = this.engine.container(id, operation);
      this.engine.emit(container, "export");
      const archive = pack();
      for (const [path, content] of container.files.entries()) {
        archive.entry({ name: path.replace(/^\//, ""), mode: 0o644 }, content);
      }
      archive.finalize();
      return archive as AsyncIterable<Uint8Array>;
    });
  }

  async resolveMounts(id: string, options?: CallOptions): Promise<void> {
    const operation = "containers.resolveMounts";
    await this.on(operation, id, options, (container) => {
      requireMounts(this.engine, container, operation);
    });
  }

  async checkpoint(
    id: string,
    options: CallOptions & { readonly name: string; readonly directory: string; readonly exit: boolean },
  ): Promise<void> {
    const operation = "containers.checkpoint";
    await this.on(operation, id, options, () => {
      throw new ShimError("failed-precondition", `${operation}: this engine has no CRIU`, { operation });
    });
  }
}
