import type { ConnectRouter, Transport } from "@connectrpc/connect";
import type { DependencyContainer, InjectionToken } from "tsyringe";
import type { Logger } from "../base/index.js";
import type { ShimConfig, ShimConfigInput } from "../config/index.js";
import type { DockerService } from "../docker/index.js";
import type { Host } from "../host/index.js";
import type { RpcOptions, RpcTarget } from "../rpc/index.js";

/** What a shim is made of; whatever is left out has its default. */
export interface ShimOptions extends Omit<ShimConfigInput, "engine"> {
  /** What does the work: named in the configuration's words, or a DockerService of one's own. */
  readonly engine?: ShimConfigInput["engine"] | DockerService;
  /** The node; the real one by default, one in memory for the memory engine. */
  readonly host?: Host;
  /** A pino logger; by default one that writes JSON lines to standard error at `logLevel`. */
  readonly log?: Logger;
  /** Registers other classes or values under the shim's tokens, before anything is made. */
  readonly override?: (container: DependencyContainer) => void;
}

/**
 * A shim: the handlers of all RPCs over one engine. Adapters mount it on a socket; {@link Shim.inProcessTransport}
 * calls it without one. Several may live in one process.
 */
export interface Shim extends RpcTarget, AsyncDisposable {
  readonly config: ShimConfig;

  /**
   * Resolves when Docker's state has been read for the first time. The shim follows Docker from its making;
   * until then RPCs answer UNAVAILABLE.
   * @param options.deadlineMs 30 s by default.
   * @throws ShimError "unavailable" or "deadline-exceeded" when Docker cannot be reached in time.
   */
  start(options?: { readonly deadlineMs?: number; readonly signal?: AbortSignal }): Promise<void>;

  /** Adds the services to a Connect router. */
  mount(router: ConnectRouter, options?: RpcOptions): void;

  /** A transport that calls the handlers in this process. */
  inProcessTransport(): Transport;

  /** Resolves a token, for embedders: `shim.resolve(Inventory)`. */
  resolve<T>(token: InjectionToken<T>): T;

  /** Ends all work: follows Docker no more, ends log pumps, closes connections. Pods run on. Idempotent. */
  close(): Promise<void>;
}
