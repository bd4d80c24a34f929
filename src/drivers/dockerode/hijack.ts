import { request, type ClientRequest, type IncomingMessage } from "node:http";
import { connect, type NetConnectOpts, type Socket } from "node:net";
import { stringify } from "node:querystring";
import type { Readable } from "node:stream";
import type { Endpoint } from "../../base/index.js";
import { chunksOf, readErrorText } from "./body.js";
import { closedError, type EngineCall } from "./call.js";
import { fromStatus, type Asked } from "./errors.js";

/** A connection that Docker has switched to the input and output of a process. */
export interface Hijacked {
  /** For the input. */
  readonly socket: Socket;
  /** For the output: the socket, or the body of an answer without an upgrade. */
  readonly readable: Readable;
}

interface UpgradeRequest {
  /** With the API's version. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
}

/**
 * Makes upgrade requests, each on its own socket. docker-modem's sockets close in both directions when one side ends, but a
 * process must be able to write output after its stdin was closed.
 */
export class Hijacker {
  readonly #open = new Set<Socket>();

  constructor(private readonly endpoint: Endpoint) {}

  /**
   * Resolves once the connection is switched. The call limits the wait, not the connection.
   * @throws ShimError for an error answer; the socket's own error when the connection fails.
   */
  async open(call: EngineCall, asked: Asked, upgrade: UpgradeRequest): Promise<Hijacked> {
    const socket = connect({ ...connectOptions(this.endpoint), allowHalfOpen: true });
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    // Errors reach the reader and the writer; an idle socket must not end the process.
    socket.on("error", () => undefined);
    const abandon = () => {
      socket.destroy();
    };
    call.signal.addEventListener("abort", abandon, { once: true });
    try {
      const answer = await call.guard(answerOf(sendUpgrade(socket, upgrade)));
      if (answer.upgraded) return { socket, readable: socket };
      const { response } = answer;
      const status = response.statusCode ?? 0;
      // Proxies drop the Upgrade header; Docker then answers with an endless body.
      if (status === 200) return { socket, readable: response };
      throw fromStatus(asked, status, await readErrorText(chunksOf(call, response)));
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      call.signal.removeEventListener("abort", abandon);
    }
  }

  /** Closes every hijacked connection. */
  close(): void {
    for (const socket of this.#open) socket.destroy(closedError("streams"));
  }
}

/**
 * The options of `connect` for an endpoint. A stream may be silent for long: over TCP keepalive finds a host that has gone,
 * and keeps firewalls from forgetting the connection. Keys that are typed are sent at once.
 */
export function connectOptions(endpoint: Endpoint): NetConnectOpts {
  if (endpoint.kind === "unix") return { path: endpoint.path };
  const { host, port } = endpoint;
  return { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 };
}

function sendUpgrade(socket: Socket, { path, query, body }: UpgradeRequest): ClientRequest {
  const content = JSON.stringify(body ?? {});
  const sent = request({
    createConnection: () => socket,
    method: "POST",
    path: query === undefined ? path : `${path}?${stringify(query)}`,
    headers: {
      Connection: "Upgrade",
      Upgrade: "tcp",
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(content),
    },
  });
  sent.end(content);
  return sent;
}

type Answer = { readonly upgraded: true } | { readonly upgraded: false; readonly response: IncomingMessage };

async function answerOf(sent: ClientRequest): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    sent.on("error", reject);
    sent.on("upgrade", (_response, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve({ upgraded: true });
    });
    sent.on("response", (response) => {
      response.on("error", () => undefined);
      resolve({ upgraded: false, response });
    });
  });
}
