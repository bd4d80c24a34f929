import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Server as TlsServer } from "node:https";
import type { Duplex } from "node:stream";
import { refuse, upgradeOf } from "./upgrade.js";
import type { Sessions } from "./sessions.js";
import type { Target, Tokens } from "../tokens.js";

export interface StreamingHandlerOptions {
  /** The path before `/exec/TOKEN`; `/cri` by default. */
  readonly prefix?: string | undefined;
  /** The URL of this server for kubelet, without the prefix, such as `http://127.0.0.1:10350`. */
  readonly baseUrl: string;
  /** Web pages that may open WebSockets, such as `https://console.example.com`, beside those of the server itself. */
  readonly allowedOrigins?: readonly string[] | undefined;
}

/** Serves the URLs of exec, attach and port-forward on any HTTP server. */
export interface StreamingHandler {
  /** Answers requests without an upgrade, for `http.createServer(handler)` or a framework's route. */
  (request: IncomingMessage, response: ServerResponse): void;
  /**
   * Handles the server's event `upgrade`.
   * @returns False, without any effect, when the path is not below the prefix.
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean;
  /** Handles the upgrade requests of a server below the prefix. */
  attach(server: Server | TlsServer): void;
}

type Found =
  | { readonly state: "elsewhere" }
  | { readonly state: "unknown" }
  | { readonly state: "waiting"; readonly token: string; readonly target: Target };

/** @param prefix Begins with a slash and does not end with one; may be empty. */
export function createHandler(
  tokens: Tokens,
  sessions: Sessions,
  {
    prefix,
    allowedOrigins = [],
  }: { readonly prefix: string; readonly allowedOrigins?: readonly string[] | undefined },
): StreamingHandler {
  const find = (request: IncomingMessage): Found => {
    const [path = ""] = (request.url ?? "").split("?", 1);
    if (!path.startsWith(`${prefix}/`)) return { state: "elsewhere" };
    const [, kind = "", token = ""] = /^\/([a-z]+)\/([\w-]{1,64})$/.exec(path.slice(prefix.length)) ?? [];
    const target = tokens.find(kind, token);
    return target ? { state: "waiting", token, target } : { state: "unknown" };
  };
  const handler = (request: IncomingMessage, response: ServerResponse) => {
    const waiting = find(request).state === "waiting";
    response.writeHead(waiting ? 400 : 404, { "Content-Type": "text/plain; charset=utf-8" });
    response.end(waiting ? "this URL requires an upgrade to SPDY/3.1 or WebSocket\n" : "not found\n");
  };
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const found = find(request);
    if (found.state === "elsewhere") return false;
    socket.on("error", () => undefined);
    const kind = upgradeOf(request);
    if (found.state === "unknown") refuse(socket, 404, "not found\n");
    else if (!kind || !["GET", "POST"].includes(request.method ?? ""))
      refuse(socket, 400, "this URL requires an upgrade to SPDY/3.1 or WebSocket\n");
    else if (kind === "websocket" && !isAllowedOrigin(request, allowedOrigins))
      refuse(socket, 403, `the origin ${request.headers.origin ?? ""} is not allowed\n`);
    else {
      sessions.open({ request, socket, head, upgrade: kind, target: found.target }, () => {
        tokens.use(found.token);
      });
    }
    return true;
  };
  const attach = (server: Server | TlsServer) => {
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (!upgrade(request, socket, head) && server.listenerCount("upgrade") === 1)
        refuse(socket, 404, "not found\n");
    });
  };
  return Object.assign(handler, { upgrade, attach });
}

/**
 * Checks the Origin of a WebSocket request. Browsers always send it, and foreign pages must be refused. Requests of
 * other programs with an Origin come through the API server and kubelet, which add X-Forwarded-For; no page can set it.
 */
function isAllowedOrigin({ headers }: IncomingMessage, allowed: readonly string[]): boolean {
  const { origin, host } = headers;
  if (origin === undefined || headers["x-forwarded-for"] !== undefined || allowed.includes(origin))
    return true;
  try {
    return new URL(origin).host === host;
  } catch {
    return false;
  }
}
