import type { CallOptions } from "../../base/index.js";
import type {
  AttachedStream,
  DockerExecs,
  DockerExecSpec,
  DockerExecState,
  TerminalSize,
} from "../../docker/index.js";
import { HijackedStream } from "./attached-stream.js";
import { decodeExecId, decodeExecState } from "./decode/exec.js";
import { detachKeys, pathOf } from "./encode/request.js";
import type { EngineConnection } from "./engine.js";

/** Execs, over Docker's API. */
export class DockerodeExecs implements DockerExecs {
  constructor(private readonly engine: EngineConnection) {}

  async create(containerId: string, spec: DockerExecSpec, options?: CallOptions): Promise<string> {
    const operation = "execs.create";
    const body = {
      Cmd: spec.command,
      ...(spec.env === undefined ? {} : { Env: spec.env }),
      Tty: spec.tty,
      AttachStdin: spec.stdin,
      AttachStdout: spec.stdout,
      AttachStderr: spec.stderr,
      DetachKeys: detachKeys,
    };
    const path = `/containers${pathOf(operation, containerId)}/exec`;
    return await this.engine.call(operation, options, async (call) =>
      this.engine.json(call, { method: "POST", path, body }, decodeExecId),
    );
  }

  async start(execId: string, options: CallOptions & { readonly tty: boolean }): Promise<AttachedStream> {
    const operation = "execs.start";
    const body = { Detach: false, Tty: options.tty };
    const request = { method: "POST", path: `/exec${pathOf(operation, execId)}/start`, body } as const;
    return await this.engine.call(operation, options, async (call) => {
      const connection = await this.engine.hijack(call, request);
      return new HijackedStream(operation, connection, options.tty, (error) =>
        this.engine.failure(call, request, error),
      );
    });
  }

  async inspect(execId: string, options?: CallOptions): Promise<DockerExecState> {
    const operation = "execs.inspect";
    const path = `/exec${pathOf(operation, execId)}/json`;
    return await this.engine.call(operation, options, async (call) =>
      this.engine.json(call, { method: "GET", path }, decodeExecState),
    );
  }

  async resize(execId: string, { width, height }: TerminalSize, options?: CallOptions): Promise<void> {
    const operation = "execs.resize";
    const path = `/exec${pathOf(operation, execId)}/resize`;
    const query = { w: String(width), h: String(height) };
    await this.engine.call(operation, options, async (call) =>
      this.engine.done(call, { method: "POST", path, query }),
    );
  }
}
