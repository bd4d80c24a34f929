import { request, type ClientRequest, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { stringify } from "node:querystring";
import type { Readable } from "node:stream";
import type { Endpoint } from "../../base/index.js";
import { chunksOf, readErrorText } from "./body.js";
import { closedError, type Call } from "./call.js";
import { fromStatus, type Asked } from "./errors.js";

/** A connection that Docker has handed over: it carries a process's input and output. */
export interface Hijacked {
  /** Where the input goes. */
  readonly socket: Socket;
  /** Where the output comes from: the socket, or the body of an answer that was no upgrade. */
  readonly readable: Readable;
}

interface UpgradeRequest {
  /** With the API's version. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
}

/**
 * Makes upgrade requests, each on a socket of its own: docker-modem's sockets close whole as soon as one
 * side has ended, and a process must be able to answer after its stdin was closed.
 */
export class Hijacker {
  readonly #open = new Set<Socket>();

  constructor(private readonly endpoint: Endpoint) {}

  /**
   * Resolves once Docker has handed the connection over. The call ends the wait, not the connection.
   * @throws ShimError for an error answer; the socket's own error when the connection fails.
   */
  async open(call: Call, asked: Asked, upgrade: UpgradeRequest): Promise<Hijacked> {
    const socket = connect({ ...target(this.endpoint), allowHalfOpen: true });
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    // Errors reach whoever reads or writes; a socket that nobody uses just now must not end the process.
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
      // Proxies drop the Upgrade header, and then Docker answers with a body that never ends by itself.
      if (status === 200) return { socket, readable: response };
      throw fromStatus(asked, status, await readErrorText(chunksOf(call, response)));
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      call.signal.removeEventListener("abort", abandon);
    }
  }

  /** Breaks every connection that was handed over. */
  close(): void {
    for (const socket of this.#open) socket.destroy(closedError("streams"));
  }
}

/** Where to connect to. */
export function target(endpoint: Endpoint): { path: string } | { host: string; port: number } {
  if (endpoint.kind === "unix") return { path: endpoint.path };
  return { host: endpoint.host, port: endpoint.port };
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
