import { ShimError, type CallOptions } from "../../base/index.js";
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
} from "../../docker/index.js";
import { HijackedStream } from "./attached-stream.js";
import type { EngineCall } from "./call.js";
import { decodeContainer, decodeContainerList, decodeCreated } from "./decode/container.js";
import { encodeContainer } from "./encode/container.js";
import { detachKeys, encodeFilters, pathOf } from "./encode/request.js";
import { encodeResources } from "./encode/resources.js";
import type { EngineConnection } from "./engine.js";
import { ReadScheduler } from "./log-reader/pacing.js";
import { readLog } from "./log-reader/read-log.js";

/** How long a stop may take after the grace period. */
const stopMarginMs = 30_000;
/** Docker stores a grace period in 63 bits of nanoseconds. */
const longestGraceSeconds = 2 ** 31 - 1;

/** Containers, over Docker's API. */
export class DockerodeContainers implements DockerContainers {
  readonly #logScheduler = new ReadScheduler();

  constructor(private readonly engine: EngineConnection) {}

  async list(
    filter: { readonly labels?: Readonly<Record<string, string | undefined>> } = {},
    options?: CallOptions,
  ): Promise<DockerContainerSummary[]> {
    const label = Object.entries(filter.labels ?? {}).map(([key, value]) =>
      value === undefined ? key : `${key}=${value}`,
    );
    const filters = label.length === 0 ? undefined : encodeFilters({ label });
    const request = { method: "GET", path: "/containers/json", query: { all: "1", filters } } as const;
    return await this.engine.call("containers.list", options, async (call) =>
      this.engine.json(call, request, decodeContainerList),
    );
  }

  async inspect(id: string, options?: CallOptions): Promise<DockerContainer> {
    return await this.engine.call("containers.inspect", options, async (call) => this.#inspect(call, id));
  }

  async create(
    spec: DockerContainerSpec,
    options?: CallOptions,
  ): Promise<{ id: string; warnings: string[] }> {
    return await this.engine.call("containers.create", options, async (call) => {
      const body = encodeContainer(spec, await this.engine.version(call));
      call.commit();
      const query = { name: spec.name };
      return await this.engine.json(
        call,
        { method: "POST", path: "/containers/create", query, body },
        decodeCreated,
      );
    });
  }

  async start(id: string, options?: CallOptions): Promise<void> {
    await this.#post("containers.start", id, "start", {}, options);
  }

  async stop(id: string, options: CallOptions & { readonly graceSeconds: number }): Promise<void> {
    const grace = Math.min(Math.max(Math.ceil(options.graceSeconds), 0), longestGraceSeconds);
    const more = { accept: [304], defaultMs: grace * 1000 + stopMarginMs };
    await this.#post("containers.stop", id, "stop", { query: { t: String(grace) }, ...more }, options);
  }

  async kill(id: string, options: CallOptions & { readonly killSignal?: string } = {}): Promise<void> {
    await this.#post("containers.kill", id, "kill", { query: { signal: options.killSignal } }, options);
  }

  async remove(id: string, options: CallOptions & { readonly force?: boolean } = {}): Promise<void> {
    const query = { v: "1", force: options.force === true ? "1" : undefined };
    const operation = "containers.remove";
    await this.engine.call(operation, options, async (call) =>
      this.engine.done(call, { method: "DELETE", path: `/containers${pathOf(operation, id)}`, query }),
    );
  }

  async update(id: string, resources: DockerResources, options?: CallOptions): Promise<void> {
    const operation = "containers.update";
    // Docker accepts the field and does not apply it.
    if (resources.oomScoreAdj !== undefined)
      throw new ShimError("unsupported", `${operation}: Docker cannot change a container's oom_score_adj`, {
        operation,
      });
    await this.#post(operation, id, "update", { body: encodeResources(resources) }, options);
  }

  logs(id: string, options: LogOptions = {}): AsyncGenerator<readonly LogFrame[]> {
    return readLog(this.engine, this.#logScheduler, id, options);
  }

  async attach(id: string, options: CallOptions & AttachOptions): Promise<AttachedStream> {
    const operation = "containers.attach";
    const { stdin, stdout, stderr, tty } = options;
    const query = { stream: "1", ...chosen({ stdin, stdout, stderr }), detachKeys };
    const request = { method: "POST", path: `/containers${pathOf(operation, id)}/attach`, query } as const;
    return await this.engine.call(operation, options, async (call) => {
      const { state } = await this.#inspect(call, id);
      // Docker would wait for a container that is yet to be started.
      if (!state.running)
        throw new ShimError("conflict", `${operation}: container ${id} is ${state.status ?? "not running"}`, {
          operation,
        });
      const connection = await this.engine.hijack(call, request);
      return new HijackedStream(operation, connection, tty, (error) =>
        this.engine.failure(call, request, error),
      );
    });
  }

  async resize(id: string, { width, height }: TerminalSize, options?: CallOptions): Promise<void> {
    const query = { w: String(width), h: String(height) };
    await this.#post("containers.resize", id, "resize", { query }, options);
  }

  async *export(id: string, options?: CallOptions): AsyncGenerator<Uint8Array> {
    const operation = "containers.export";
    const call = this.engine.open(operation, options);
    try {
      const request = { method: "GET", path: `/containers${pathOf(operation, id)}/export` } as const;
      yield* this.engine.stream(call, request, (chunks) => chunks, this.engine.requestTimeoutMs);
    } finally {
      call.end();
    }
  }

  async resolveMounts(id: string, options?: CallOptions): Promise<void> {
    const operation = "containers.resolveMounts";
    // Docker mounts all for whichever file is read. This one is empty, and in every container.
    const query = { path: "/.dockerenv" };
    const request = { method: "GET", path: `/containers${pathOf(operation, id)}/archive`, query } as const;
    await this.engine.call(operation, options, async (call) => {
      (await this.engine.head(call, request)).destroy();
    });
  }

  async checkpoint(
    id: string,
    options: CallOptions & { readonly name: string; readonly directory: string; readonly exit: boolean },
  ): Promise<void> {
    const { name, directory, exit } = options;
    const body = { CheckpointID: name, CheckpointDir: directory, Exit: exit };
    await this.#post("containers.checkpoint", id, "checkpoints", { body }, options);
  }

  async #inspect(call: EngineCall, id: string): Promise<DockerContainer> {
    const path = `/containers${pathOf(call.operation, id)}/json`;
    return await this.engine.json(call, { method: "GET", path }, decodeContainer);
  }

  async #post(
    operation: string,
    id: string,
    action: string,
    more: {
      readonly query?: Readonly<Record<string, string | undefined>>;
      readonly body?: object;
      readonly accept?: readonly number[];
      readonly defaultMs?: number;
    },
    options: CallOptions | undefined,
  ): Promise<void> {
    const { defaultMs, ...rest } = more;
    const request = {
      method: "POST",
      path: `/containers${pathOf(operation, id)}/${action}`,
      ...rest,
    } as const;
    await this.engine.call(operation, options, async (call) => this.engine.done(call, request), defaultMs);
  }
}

function chosen(flags: Readonly<Record<string, boolean>>): Record<string, string> {
  return Object.fromEntries(Object.entries(flags).map(([name, on]) => [name, on ? "1" : "0"]));
}
