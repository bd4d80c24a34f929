import type { Duplex } from "node:stream";
import { inject, injectable } from "../base/injection.js";
import { Logger, messageOf, ShimError } from "../base/index.js";
import { remoteProcess, type ProcessIo, type RemoteProcess } from "../carriers/index.js";
import { ShimConfig } from "../config/index.js";
import { DockerService } from "../docker/index.js";
import { Host } from "../host/index.js";
import { Inventory, stageOf, type WorkloadRecord } from "../inventory/index.js";
import { createHandler, type StreamingHandler, type StreamingHandlerOptions } from "./http/handler.js";
import { startServer, type StreamingServer } from "./http/server.js";
import { Sessions, type ProcessTarget } from "./http/sessions.js";
import { connectToPod } from "./ports/connect.js";
import { openAttach } from "./session/attach.js";
import { ExecRecords } from "./session/exec-records.js";
import { openExec } from "./session/exec.js";
import { SharedAttaches } from "./session/shared-attach.js";
import { Tokens, type Target, type WantedStreams } from "./tokens.js";

/** The streams of a process to connect: by default all but stdin, and with a terminal only stdout. */
export interface ProcessOptions {
  readonly stdin?: boolean | undefined;
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
  /** Whether an exec gets a terminal. */
  readonly tty?: boolean | undefined;
}

const tokenLifeMs = 60_000;
const maxUnusedTokens = 1_000;
const defaultPrefix = "/cri";

/** Exec, attach and port-forward: with URLs for kubelet, and as Node streams for embedders. */
@injectable()
export class Streaming {
  private readonly tokens = new Tokens({ lifeMs: tokenLifeMs, maxUnused: maxUnusedTokens });
  private readonly sessions: Sessions;
  private readonly records: ExecRecords;
  private readonly attaches: SharedAttaches;
  /** The processes of embedders, also those that are being opened. */
  private readonly processes = new Set<Promise<ProcessIo>>();
  private readonly connections = new Set<Duplex>();
  private server: Promise<StreamingServer> | undefined;
  /** The base URL of the handler that an embedder has mounted. */
  private mounted: string | undefined;
  private readonly closing = new AbortController();

  constructor(
    @inject(DockerService) private readonly docker: DockerService,
    @inject(Host) private readonly host: Host,
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(ShimConfig) private readonly config: ShimConfig,
    @inject(Logger) private readonly log: Logger,
  ) {
    const { creationTimeoutMs, idleTimeoutMs } = config.streaming;
    this.records = new ExecRecords({ docker, host, log, closed: this.closing.signal }, config.rootDirectory);
    this.attaches = new SharedAttaches(docker);
    this.sessions = new Sessions({
      log,
      creationTimeoutMs,
      idleTimeoutMs,
      openProcess: (target) => this.openProcess(target),
      connectPort: (podId, port, signal) => this.connectPort(podId, port, signal),
    });
  }

  /** Sessions of clients and of embedders. */
  get openSessions(): number {
    return this.sessions.size + this.processes.size + this.connections.size;
  }

  /** Ends the execs whose clients were connected to an earlier process, once Docker's state is known. */
  async endLeftovers(): Promise<void> {
    const records = await this.records.list();
    await this.inventory.whenReady();
    if (this.inventory.isReady) await this.records.endLeftovers(records);
  }

  /**
   * The URL at which a client runs a command, once, within a minute.
   * @throws ShimError "not-found"; "invalid-argument" for an empty command or streams that CRI does not allow;
   *   "failed-precondition" when the container does not run; "resource-exhausted" when too many URLs are unused.
   */
  async execUrl(containerId: string, command: readonly string[], streams: WantedStreams): Promise<string> {
    checkCommand(command);
    checkStreams("Exec", streams);
    const { id } = this.running(containerId);
    return await this.url({ kind: "exec", containerId: id, command, streams });
  }

  /** The URL at which a client attaches to a container. @throws As {@link execUrl}. */
  async attachUrl(containerId: string, streams: WantedStreams): Promise<string> {
    checkStreams("Attach", streams);
    const { id } = this.running(containerId);
    return await this.url({ kind: "attach", containerId: id, streams });
  }

  /**
   * The URL at which a client reaches ports of a pod.
   * @param ports For clients of WebSocket channels whose URL names none.
   * @throws ShimError "not-found"; "invalid-argument" for a port that is none; "failed-precondition" when the pod does not
   *   run; "resource-exhausted" when too many URLs are unused.
   */
  async portForwardUrl(podId: string, ports: readonly number[]): Promise<string> {
    for (const port of ports) checkPort("PortForward", port);
    const { id } = this.runningPod(podId);
    return await this.url({ kind: "portforward", podId: id, ports });
  }

  /**
   * Runs a command in a container.
   * @throws ShimError "not-found"; "failed-precondition" when the container does not run.
   */
  async exec(
    containerId: string,
    command: readonly string[],
    options: ProcessOptions = {},
  ): Promise<RemoteProcess> {
    checkCommand(command);
    return await this.remote({ kind: "exec", containerId, command, streams: streamsOf(options) });
  }

  /** Attaches to a container's first process: its output from now on, and its stdin. @throws As {@link exec}. */
  async attach(containerId: string, options: Omit<ProcessOptions, "tty"> = {}): Promise<RemoteProcess> {
    return await this.remote({ kind: "attach", containerId, streams: streamsOf(options) });
  }

  /**
   * Connects to a port on a pod's own loopback, 127.0.0.1 or else ::1.
   * @throws ShimError "failed-precondition" when the pod does not run; "unavailable" when nothing listens there.
   */
  async portForward(
    podId: string,
    port: number,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Duplex> {
    checkPort("portForward", port);
    const connection = await this.connectPort(podId, port, options.signal);
    if (this.closing.signal.aborted) connection.destroy();
    this.checkOpen();
    this.connections.add(connection);
    connection.once("close", () => this.connections.delete(connection));
    return connection;
  }

  /**
   * A handler for the embedder's own HTTP server. From now on kubelet gets URLs of that server.
   * @throws ShimError "invalid-argument" for a base URL or prefix of another form.
   */
  handler(options: StreamingHandlerOptions): StreamingHandler {
    const prefix = prefixOf(options.prefix);
    this.mounted = `${baseUrlOf(options.baseUrl)}${prefix}`;
    return createHandler(this.tokens, this.sessions, { prefix, allowedOrigins: options.allowedOrigins });
  }

  /**
   * Listens on the configured address. Exec, Attach and PortForward do so by themselves when no handler is mounted.
   * @returns Its URL, such as `http://127.0.0.1:43210`.
   * @throws ShimError "already-exists" when the port is taken.
   */
  async listen(): Promise<string> {
    this.checkOpen();
    const { address, tls } = this.config.streaming;
    const { host, log } = this;
    this.server ??= startServer(
      { address, tls, host, log },
      createHandler(this.tokens, this.sessions, { prefix: defaultPrefix }),
    );
    try {
      return (await this.server).baseUrl;
    } catch (error) {
      this.server = undefined;
      throw error;
    }
  }

  /** Ends all sessions and the processes of execs, and opens no more. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.server?.then(
      (server) => {
        server.close();
      },
      () => undefined,
    );
    await this.sessions.close();
    for (const connection of this.connections) connection.destroy();
    await Promise.all(
      [...this.processes].map((opening) =>
        opening.then(
          (io) => io.abandon(),
          () => undefined,
        ),
      ),
    );
  }

  private async url(target: Target): Promise<string> {
    const base = this.mounted ?? `${await this.listen()}${defaultPrefix}`;
    return `${base}/${target.kind}/${this.tokens.issue(target)}`;
  }

  private async remote(target: ProcessTarget): Promise<RemoteProcess> {
    const opening = this.openProcess(target);
    this.processes.add(opening);
    const forget = () => this.processes.delete(opening);
    try {
      const remote = remoteProcess(await opening, target.kind);
      remote.exitCode.then(forget, forget);
      return remote;
    } catch (error) {
      forget();
      throw error;
    }
  }

  private async openProcess(target: ProcessTarget): Promise<ProcessIo> {
    this.checkOpen();
    const record = this.running(target.containerId);
    if (target.kind === "attach")
      return await openAttach(record, target.streams, { docker: this.docker, shared: this.attaches });
    return await openExec(
      { ...target, containerId: record.id },
      {
        docker: this.docker,
        execEnds: this.inventory.execEnds,
        records: this.records,
        keepAbandoned: this.config.streaming.keepAbandonedExecs,
      },
    );
  }

  private async connectPort(podId: string, port: number, signal: AbortSignal | undefined): Promise<Duplex> {
    this.checkOpen();
    const { id, docker } = this.runningPod(podId);
    try {
      return await connectToPod(this.host.network, docker.state.pid, port, signal);
    } catch (cause) {
      if (cause instanceof ShimError) throw cause;
      const text = `port ${port} of pod ${id} cannot be reached: ${messageOf(cause)}`;
      throw new ShimError("unavailable", text, { cause });
    }
  }

  private checkOpen(): void {
    if (this.closing.signal.aborted) throw new ShimError("unavailable", "the shim is closed");
  }

  private running(containerId: string): WorkloadRecord {
    const record = this.inventory.workload(containerId);
    if (stageOf(record.docker) === "running") return record;
    throw new ShimError("failed-precondition", `container ${record.id} is not running`);
  }

  private runningPod(podId: string) {
    const record = this.inventory.sandbox(podId);
    if (stageOf(record.docker) === "running") return record;
    throw new ShimError("failed-precondition", `pod sandbox ${record.id} is not ready`);
  }
}

function streamsOf({
  stdin = false,
  stdout = true,
  stderr = true,
  tty = false,
}: ProcessOptions): WantedStreams {
  return { stdin, stdout, stderr: stderr && !tty, tty };
}

function checkCommand(command: readonly string[]): void {
  if (command.length === 0) throw new ShimError("invalid-argument", "Exec: cmd is empty");
}

function checkStreams(rpc: string, { stdin, stdout, stderr, tty }: WantedStreams): void {
  if (!stdin && !stdout && !stderr)
    throw new ShimError("invalid-argument", `${rpc}: one of stdin, stdout and stderr must be set`);
  if (tty && stderr)
    throw new ShimError(
      "invalid-argument",
      `${rpc}: tty and stderr cannot both be set: a terminal has one output`,
    );
}

function checkPort(rpc: string, port: number): void {
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new ShimError("invalid-argument", `${rpc}: ${port} is not a port: it must be 1 to 65535`);
}

function prefixOf(prefix: string = defaultPrefix): string {
  if (!/^(\/[^?#]*)?$/.test(prefix))
    throw new ShimError("invalid-argument", `streaming.handler: prefix "${prefix}" must begin with a slash`);
  return withoutLastSlash(prefix);
}

function baseUrlOf(baseUrl: string): string {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if ((url?.protocol === "http:" || url?.protocol === "https:") && !url.search && !url.hash)
    return withoutLastSlash(baseUrl);
  throw new ShimError(
    "invalid-argument",
    `streaming.handler: baseUrl "${baseUrl}" must be an absolute http or https URL, such as http://127.0.0.1:10350`,
  );
}

function withoutLastSlash(text: string): string {
  return text.endsWith("/") ? text.slice(0, -1) : text;
}
