import type { Server as NetServer } from "node:net";
import type { Server as TlsServer } from "node:tls";
import { messageOf, ShimError, type Logger } from "../../base/index.js";
import type { RpcOptions, RpcTarget } from "../../rpc/serving.js";

/** The options that all socket adapters share. */
export interface ServerOptions extends RpcOptions {
  /** Gets the server's own lines and one for each call, in place of the shim's logger. */
  readonly log?: Logger | undefined;
}

/** A server that is listening. */
export interface RunningServer extends AsyncDisposable {
  /** Where clients reach it: `unix:///path` or `tcp://host:port`. */
  readonly address: string;

  /**
   * Stops listening, ends streams with UNAVAILABLE, lets unary calls end, and cuts off those that take
   * longer. Resolves when no connection is left. Idempotent.
   * @param options.graceMs How long unary calls may take to end, in milliseconds; 5000 by default.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

const defaultGraceMs = 5_000;

/** A server whose {@link RunningServer.close} runs `close` once. */
export function runningServer(address: string, close: (graceMs: number) => Promise<void>): RunningServer {
  let closed: Promise<void> | undefined;
  const server: RunningServer = {
    address,
    close: (options) => (closed ??= close(options?.graceMs ?? defaultGraceMs)),
    [Symbol.asyncDispose]: () => server.close(),
  };
  return server;
}

/** The target with the logger of the options, if they have one. */
export function targetWithLog(target: RpcTarget, log: Logger | undefined): RpcTarget {
  if (!log) return target;
  return {
    handlerFor: (method) => target.handlerFor(method),
    beforeCall: (method, context) => target.beforeCall?.(method, context),
    log,
    observer: target.observer,
  };
}

/**
 * Starts listening.
 * @param where The address as the operator wrote it, for the error.
 * @throws ShimError "already-exists" for an address in use, "permission-denied", "invalid-argument" for a malformed
 *   address, else "failed-precondition".
 */
export function listen(server: NetServer | TlsServer, where: string, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => {
      server.off("listening", onListening);
      reject(listenError(where, error));
    };
    const onListening = () => {
      server.off("error", onError);
      resolve();
    };
    server.once("error", onError).once("listening", onListening);
    try {
      start();
    } catch (cause) {
      reject(new ShimError("invalid-argument", `cannot listen on ${where}: ${messageOf(cause)}`, { cause }));
    }
  });
}

function listenError(where: string, cause: NodeJS.ErrnoException): ShimError {
  switch (cause.code) {
    case "EADDRINUSE":
      return new ShimError("already-exists", `cannot listen on ${where}: another process listens there`, {
        cause,
      });
    case "EACCES":
    case "EPERM":
      return new ShimError(
        "permission-denied",
        `cannot listen on ${where}: permission denied; run as root, or choose another address`,
        { cause },
      );
    default:
      return new ShimError("failed-precondition", `cannot listen on ${where}: ${messageOf(cause)}`, {
        cause,
      });
  }
}

/** Accepts no more connections. Resolves once all accepted ones are closed, which is the caller's task. */
export function stopListening(server: NetServer | TlsServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });
}

/** Keeps a listening server alive through failures to accept, such as too many open files. */
export function survive(server: NetServer | TlsServer, log: Logger): void {
  server.on("error", (error) => {
    log.error({ err: error }, "could not accept a connection");
  });
}
