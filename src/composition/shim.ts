import type { Duplex } from "node:stream";
import type { ConnectRouter, Transport } from "@connectrpc/connect";
import type { TracerProvider } from "@opentelemetry/api";
import type { InjectionToken } from "tsyringe";
import type { Logger } from "../base/index.js";
import type { ShimConfig, ShimConfigInput } from "../config/index.js";
import type { DockerService } from "../docker/index.js";
import type { Host } from "../host/index.js";
import type { RpcOptions, RpcTarget } from "../rpc/index.js";
import type { UsageReader } from "../stats/index.js";
import type {
  ProcessOptions,
  RemoteProcess,
  StreamingHandler,
  StreamingHandlerOptions,
} from "../streaming/index.js";
import type { ShimParts } from "./parts.js";

/** The configuration and the parts of a shim; each has a default. */
export interface ShimOptions extends Omit<ShimConfigInput, "engine"> {
  /** The engine, as in the configuration, or your own DockerService. */
  readonly engine?: ShimConfigInput["engine"] | DockerService;
  /** The node; the real one by default, one in memory for the memory engine. */
  readonly host?: Host;
  /** A pino logger; by default one that writes JSON lines to standard error at `logLevel`. */
  readonly log?: Logger;
  /**
   * Makes a span of each RPC, of each call of a module for it, and of each call to Docker. The SDK is the embedder's: its
   * context manager and its propagator, which reads the caller's context from the metadata, must be registered.
   */
  readonly tracerProvider?: TracerProvider;
  /** Registers other classes, values or factories under the shim's tokens, before anything is made. */
  readonly override?: (parts: ShimParts) => void;
}

/** The streaming server, for clients of exec, attach and port-forward. */
export interface ShimStreaming {
  /**
   * A handler for the embedder's own HTTP server. From now on kubelet gets URLs of that server.
   * @throws ShimError "invalid-argument" for a base URL or prefix of another form.
   */
  handler(options: StreamingHandlerOptions): StreamingHandler;

  /**
   * Listens on the address in `config.streaming`. The RPCs do so by themselves when no handler is mounted.
   * @returns Its URL, such as `http://127.0.0.1:43210`.
   * @throws ShimError "already-exists" when the port is taken.
   */
  listen(): Promise<string>;
}

/** The shim's own metrics. */
export interface ShimMetricsReader {
  /** Of {@link text}: Prometheus' text format. */
  readonly contentType: string;

  /** All metrics, for an HTTP server of the embedder's own. */
  text(): Promise<string>;

  /**
   * Serves them at `/metrics` of the address in `config.metrics`.
   * @returns The URL.
   * @throws ShimError "already-exists" when the port is taken.
   */
  listen(): Promise<string>;
}

/**
 * A shim: the handlers of all RPCs over one engine. Adapters mount it on a socket; {@link Shim.inProcessTransport}
 * calls it without one. Several may live in one process.
 */
export interface Shim extends RpcTarget, AsyncDisposable {
  readonly config: ShimConfig;

  /**
   * Resolves when Docker's state has been read for the first time. Until then RPCs wait while it is
   * read, and answer UNAVAILABLE while Docker does not answer.
   * @param options.deadlineMs 30 s by default.
   * @throws ShimError "unavailable" or "deadline-exceeded" when Docker cannot be reached in time.
   */
  start(options?: { readonly deadlineMs?: number; readonly signal?: AbortSignal }): Promise<void>;

  /** The resource use of containers and pods. */
  readonly stats: UsageReader;

  /** The shim's own metrics; undefined unless `config.metrics.address` is set. */
  readonly metrics: ShimMetricsReader | undefined;

  /** Adds the services to a Connect router. */
  mount(router: ConnectRouter, options?: RpcOptions): void;

  /** A transport that calls the handlers in this process. */
  inProcessTransport(): Transport;

  readonly streaming: ShimStreaming;

  /**
   * Runs a command in a container, without a socket.
   * @throws ShimError "not-found"; "failed-precondition" when the container does not run.
   */
  exec(containerId: string, command: readonly string[], options?: ProcessOptions): Promise<RemoteProcess>;

  /** Attaches to a container's first process: its output from now on, and its stdin. @throws As {@link exec}. */
  attach(containerId: string, options?: Omit<ProcessOptions, "tty">): Promise<RemoteProcess>;

  /**
   * Connects to a port on a pod's own loopback, 127.0.0.1 or else ::1.
   * @returns A stream whose two directions end separately. Destroy it, or end it and read it to its end. Reads and
   *   writes fail when it breaks. Without an "error" listener that does not crash the process.
   * @throws ShimError "failed-precondition" when the pod does not run; "unavailable" when nothing listens there.
   */
  portForward(podId: string, port: number, options?: { readonly signal?: AbortSignal }): Promise<Duplex>;

  /** Resolves a token, for embedders: `shim.resolve(Inventory)`. */
  resolve<T>(token: InjectionToken<T>): T;

  /**
   * Ends all work: stops following Docker, ends log pumps, closes connections. Pods keep running. Later calls get
   * UNAVAILABLE. Idempotent.
   */
  close(): Promise<void>;
}
