import { ShimError, type CallOptions } from "../../base/index.js";
import type {
  AttachedStream,
  DockerExecs,
  DockerExecSpec,
  DockerExecState,
  TerminalSize,
} from "../../docker/index.js";
import { MemoryAttachedStream, type AttachedInput } from "./attached.js";
import type { CallSubject, Connection } from "./connection.js";
import { Exec, type Container } from "./containers/container.js";
import { environmentOf, launch, requireProgram, type Launched } from "./containers/launch.js";
import type { MemoryEngine } from "./engine.js";
import { randomId } from "./ids.js";

/** Docker drops execs some minutes after their end; here the oldest are dropped when a container has more. */
const mostEnded = 256;

/** The execs of the memory engine. */
export class MemoryExecs implements DockerExecs {
  constructor(private readonly connection: Connection) {}

  private get engine(): MemoryEngine {
    return this.connection.engine;
  }

  async create(containerId: string, spec: DockerExecSpec, options?: CallOptions): Promise<string> {
    const operation = "execs.create";
    const subject: CallSubject = { matches: this.engine.isContainer(containerId) };
    return await this.connection.call(operation, options, subject, () => {
      const container = this.engine.container(containerId, operation);
      requireRunning(container, operation);
      if (spec.command.length === 0) {
        throw new ShimError("invalid-argument", `${operation}: no command was given`, { operation });
      }
      const exec = new Exec(randomId(), container, structuredClone(spec));
      container.execs.add(exec);
      this.engine.execs.set(exec.id, exec);
      forgetOldest(this.engine, container);
      this.emit(exec, "exec_create");
      return exec.id;
    });
  }

  async start(execId: string, options: CallOptions & { readonly tty: boolean }): Promise<AttachedStream> {
    const operation = "execs.start";
    return await this.connection.call(operation, options, this.subject(execId), () => {
      const exec = this.find(execId, operation);
      requireRunning(exec.container, operation);
      if (exec.started) {
        throw new ShimError("conflict", `${operation}: ${execId} was started before; make another one`, {
          operation,
        });
      }
      exec.started = true;
      return this.run(exec);
    });
  }

  async inspect(execId: string, options?: CallOptions): Promise<DockerExecState> {
    return await this.connection.call("execs.inspect", options, this.subject(execId), () =>
      this.find(execId, "execs.inspect").state(),
    );
  }

  async resize(execId: string, size: TerminalSize, options?: CallOptions): Promise<void> {
    const operation = "execs.resize";
    await this.connection.call(operation, options, this.subject(execId), () => {
      const exec = this.find(execId, operation);
      if (!exec.running) {
        throw new ShimError("conflict", `${operation}: ${execId} is not running`, { operation });
      }
      exec.terminal?.resize(size);
    });
  }

  private subject(execId: string): CallSubject {
    const matches = (id: string) => {
      const exec = this.engine.execs.get(execId);
      return id === execId || (exec !== undefined && this.engine.isContainer(exec.container.id)(id));
    };
    return { matches };
  }

  private find(execId: string, operation: string): Exec {
    const exec = this.engine.execs.get(execId);
    if (exec) return exec;
    throw new ShimError("not-found", `${operation}: no such exec: ${execId}`, { operation });
  }

  private run(exec: Exec): AttachedStream {
    const { container, spec } = exec;
    let release: () => void = () => undefined;
    const target: { launched?: Launched | undefined } = {};
    const input: AttachedInput = {
      write: async (data) => {
        await (target.launched?.terminal?.type(data) ?? target.launched?.stdin.write(data));
      },
      // As in Docker: a terminal's stdin is not closed; instead the client's output ends.
      end: () => {
        if (spec.tty) stream.finish();
        else target.launched?.stdin.end();
      },
    };
    const stream = new MemoryAttachedStream("execs.start", spec.stdin ? input : undefined, spec, () => {
      release();
    });
    release = this.connection.hold("execs.start", (error) => {
      stream.destroy(error);
    });
    this.emit(exec, "exec_start");
    const launched = this.launch(exec, stream);
    target.launched = launched;
    if (!launched) return stream;
    if (!spec.stdin) launched.stdin.end();
    exec.terminal = launched.terminal;
    container.execs.add(exec);
    launched.begin();
    return stream;
  }

  private launch(exec: Exec, stream: MemoryAttachedStream): Launched | undefined {
    const { container, spec } = exec;
    const { run } = container;
    if (!run) return undefined;
    try {
      const program = requireProgram(container, spec.command, "execs.start");
      const pid = ++run.lastPid;
      const environment = environmentOf(container, spec.env);
      const name = spec.command[0] ?? "";
      const process = this.engine.host.processTable.spawn({ name, environment }, (code) => {
        run.pids.delete(pid);
        stream.finish();
        this.emit(exec, "exec_die", { exitCode: String(code) });
      });
      exec.process = process;
      process.network = run.process.network;
      run.pids.set(pid, process);
      return launch(container, {
        process,
        program,
        args: spec.command,
        tty: spec.tty,
        pid,
        output: (name, data) => stream.put({ stream: name, data }),
      });
    } catch (error) {
      this.fail(exec, stream, error);
      return undefined;
    }
  }

  /** A command that cannot be run results in an output and exit code 127. */
  private fail(exec: Exec, stream: MemoryAttachedStream, error: unknown): void {
    exec.failedCode = 127;
    void stream.put({
      stream: "stdout",
      data: Buffer.from(`${error instanceof Error ? error.message : ""}\r\n`),
    });
    stream.finish();
  }

  private emit(exec: Exec, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    this.engine.emit(exec.container, action, { execID: exec.id, ...attributes });
  }
}

function requireRunning(container: Container, operation: string): void {
  if (container.running && !container.paused) return;
  throw new ShimError("conflict", `${operation}: ${container.name} is ${container.status}, not running`, {
    operation,
  });
}

function forgetOldest(engine: MemoryEngine, container: Container): void {
  const ended = [...container.execs].filter((exec) => exec.started && !exec.running);
  for (const exec of ended.slice(0, Math.max(0, ended.length - mostEnded))) {
    container.execs.delete(exec);
    engine.execs.delete(exec.id);
  }
}
