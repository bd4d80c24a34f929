import Docker from "dockerode";
import type { Agent, IncomingMessage } from "node:http";
import { isIPv6 } from "node:net";
import { inspect } from "node:util";
import { messageOf, ShimError, type Endpoint } from "../../base/index.js";

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

/** Sends a request; resolves with the head of whatever answer comes, its body unread. */
export type Dial = (request: ModemRequest) => Promise<IncomingMessage>;

interface Modem {
  dial(options: object, callback: (error: Error | null, answer: unknown) => void): void;
}

/** docker-modem reads bodies of unknown statuses without a bound: to it, every status is a success. */
const everyStatus = Object.fromEntries(Array.from({ length: 900 }, (_, index) => [100 + index, true]));

/** Connects dockerode to an engine. @throws ShimError "invalid-argument" when the environment misleads it. */
export function openModem(endpoint: Endpoint, agent: Agent): Dial {
  const modem = connect(
    endpoint.kind === "unix"
      ? { socketPath: endpoint.path }
      : {
          host: `http://${isIPv6(endpoint.host) ? `[${endpoint.host}]` : endpoint.host}`,
          port: endpoint.port,
        },
    agent,
  );
  return async ({ method, path, query, body, headers, signal }) =>
    await new Promise<IncomingMessage>((resolve, reject) => {
      modem.dial(
        {
          method,
          path: Object.keys(query).length === 0 ? path : `${path}?`,
          options: { _query: query, _body: body ?? {} },
          allowEmpty: body !== undefined,
          headers: hidden({ ...headers }),
          abortSignal: signal,
          isStream: true,
          statusCodes: everyStatus,
        },
        (error, answer) => {
          if (error !== null) {
            reject(error);
            return;
          }
          const response = answer as IncomingMessage;
          // Whoever reads it sees its errors; one that nobody reads must not end the process.
          response.on("error", () => undefined);
          resolve(response);
        },
      );
    });
}

/** Headers may hold credentials, and docker-modem prints its options when DEBUG asks for it. */
function hidden(headers: Record<string, string>): Record<string, string> {
  Object.defineProperty(headers, inspect.custom, { value: () => "headers" });
  return headers;
}

/** docker-modem takes what it is not told from DOCKER_HOST and its kin, so that it is told everything. */
function connect(target: { socketPath: string } | { host: string; port: number }, agent: Agent): Modem {
  const nothing = { host: undefined, port: undefined, socketPath: undefined, timeout: undefined };
  const noTls = { protocol: "http", ca: undefined, cert: undefined, key: undefined };
  const options: object = { ...nothing, ...noTls, ...target, agent };
  try {
    return new Docker(options).modem;
  } catch (error) {
    throw new ShimError(
      "invalid-argument",
      `the environment's DOCKER_HOST or DOCKER_CERT_PATH cannot be read (${messageOf(error)}); ` +
        "unset them: the shim takes Docker's endpoint from its own configuration",
      { cause: error },
    );
  }
}
