import Docker from "dockerode";
import { Agent, type ClientRequestArgs, type IncomingMessage } from "node:http";
import { isIPv6, type Socket } from "node:net";
import { inspect } from "node:util";
import { messageOf, ShimError, type Endpoint } from "../../base/index.js";

// All that works around dockerode and docker-modem is in this file. Of dockerode only the modem's `dial` is used: its
// methods (container.inspect(), start(), …) take an abortSignal, but they read an answer into memory without a limit,
// and their errors do not say whether a connection was broken or refused, which decides about a retry.

/** A request as docker-modem takes it. */
export interface ModemRequest {
  readonly method: string;
  /** With the API's version. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body?: object | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Sends a request; resolves with the head of the answer, whatever its status, and the body unread. */
export type Dial = (request: ModemRequest) => Promise<IncomingMessage>;

interface Modem {
  dial(options: object, callback: (error: Error | null, answer: unknown) => void): void;
}

/** docker-modem reads the body of an unknown status without a limit: to it, every status is a success. */
const everyStatus = Object.fromEntries(Array.from({ length: 900 }, (_, index) => [100 + index, true]));

/**
 * docker-modem formats its options for a debug line on every call, debugging or not: that would walk every socket of the
 * agent and every listener of the signal, and print credentials in headers when DEBUG is set.
 */
const hidden = { value: () => "(hidden)" };

/** Connects dockerode to an engine. @throws ShimError "invalid-argument" when DOCKER_HOST cannot be parsed. */
export function openModem(endpoint: Endpoint, agent: Agent): Dial {
  const modem = connect(endpoint, agent);
  return async ({ method, path, query, body, headers, signal }) =>
    await new Promise<IncomingMessage>((resolve, reject) => {
      modem.dial(
        {
          method,
          path: Object.keys(query).length === 0 ? path : `${path}?`,
          options: { _query: query, _body: body ?? {} },
          allowEmpty: body !== undefined,
          headers: Object.defineProperty({ ...headers }, inspect.custom, hidden),
          abortSignal: Object.defineProperty(signal, inspect.custom, hidden),
          isStream: true,
          statusCodes: everyStatus,
        },
        (error, answer) => {
          if (error !== null) {
            reject(error);
            return;
          }
          const response = answer as IncomingMessage;
          // An error that no reader listens for must not end the process.
          response.on("error", () => undefined);
          closeOnAbort(response, signal);
          resolve(response);
        },
      );
    });
}

/** docker-modem takes every option that is absent from DOCKER_HOST and similar variables, so that none is absent. */
function connect(endpoint: Endpoint, agent: Agent): Modem {
  const target =
    endpoint.kind === "unix"
      ? { socketPath: endpoint.path }
      : {
          host: `http://${isIPv6(endpoint.host) ? `[${endpoint.host}]` : endpoint.host}`,
          port: endpoint.port,
        };
  const nothing = { host: undefined, port: undefined, socketPath: undefined, timeout: undefined };
  const noTls = { protocol: "http", ca: undefined, cert: undefined, key: undefined };
  const options: object = { ...nothing, ...noTls, ...target, agent };
  try {
    return new Docker(options).modem;
  } catch (error) {
    throw new ShimError(
      "invalid-argument",
      `the environment's DOCKER_HOST or DOCKER_CERT_PATH cannot be parsed (${messageOf(error)}); ` +
        "unset them, and set --docker-endpoint instead",
      { cause: error },
    );
  }
}

/** docker-modem may stop watching the signal once the head of the answer has arrived. */
function closeOnAbort(response: IncomingMessage, signal: AbortSignal): void {
  const close = () => {
    response.destroy();
  };
  signal.addEventListener("abort", close, { once: true });
  response.once("close", () => {
    signal.removeEventListener("abort", close);
  });
}

/** Long enough for a burst of calls, and shorter than the idle timeout of a proxy in between. */
const idleMs = 15_000;

/** Keeps connections to the engine open between calls. */
export class EngineAgent extends Agent {
  readonly #open = new Set<Socket>();

  /** @param lastClosed Called each time that no connection is left. */
  constructor(private readonly lastClosed: () => void) {
    super({ keepAlive: true, maxFreeSockets: 16, timeout: idleMs });
    Object.defineProperty(this, inspect.custom, hidden);
  }

  /** True when a call may get a connection that an earlier one has used. */
  get keepsConnections(): boolean {
    return this.#open.size > 0;
  }

  override createConnection(
    options: ClientRequestArgs,
    callback?: Parameters<Agent["createConnection"]>[1],
  ): ReturnType<Agent["createConnection"]> {
    const socket = super.createConnection(options, callback) as Socket;
    this.#open.add(socket);
    socket.once("close", () => {
      this.#open.delete(socket);
      if (this.#open.size === 0) this.lastClosed();
    });
    return socket;
  }
}
