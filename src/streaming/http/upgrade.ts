import type { IncomingMessage } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer, type WebSocket } from "ws";
import { acceptedProtocolsHeader, headerValues, protocolHeader, spdyUpgrade } from "../../carriers/index.js";

/** The protocol that a request wants to upgrade to. */
export type Upgrade = "spdy" | "websocket";

/** Undefined for any other. */
export function upgradeOf({ headers }: IncomingMessage): Upgrade | undefined {
  if (!headerValues(headers.connection).some((value) => value.toLowerCase() === "upgrade")) return undefined;
  const wanted = headerValues(headers.upgrade).map((value) => value.toLowerCase());
  if (wanted.includes("websocket")) return "websocket";
  return wanted.includes(spdyUpgrade.toLowerCase()) ? "spdy" : undefined;
}

/** The subprotocols that a client offers, in its order of preference. */
export function offeredProtocols({ headers }: IncomingMessage, upgrade: Upgrade): string[] {
  return headerValues(headers[upgrade === "spdy" ? protocolHeader : "sec-websocket-protocol"]);
}

/** Answers an upgrade with an error, and closes. A client that has disconnected is ignored. */
export function refuse(
  socket: Duplex,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const lines = Object.entries({
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": String(Buffer.byteLength(text)),
    Connection: "close",
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on("error", () => undefined);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n${text}`, () =>
    socket.destroy(),
  );
}

/** Refuses a client without a supported subprotocol. */
export function refuseProtocols(socket: Duplex, offered: readonly string[], known: readonly string[]): void {
  const text = `unable to upgrade: the client offers [${offered.join(", ")}], this server supports [${known.join(", ")}]`;
  refuse(socket, 403, text, { [acceptedProtocolsHeader]: known.join(", ") });
}

/** Takes the connection over for SPDY. */
export function upgradeToSpdy(socket: Duplex, head: Buffer, protocol: string): Duplex {
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" +
      `Upgrade: ${spdyUpgrade}\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
  return socket;
}

/** The largest message: a client may send a whole file in one. */
const maxMessageBytes = 32 * 1024 * 1024;
/** How long to wait for the peer's close frame. */
const closeTimeoutMs = 60_000;

const chosen = new WeakMap<IncomingMessage, string>();
const server = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: maxMessageBytes,
  // Its types do not have this option yet.
  ...{ closeTimeout: closeTimeoutMs },
});
server.on("headers", (lines, request) => {
  const protocol = chosen.get(request);
  if (protocol !== undefined && protocol !== "") lines.push(`Sec-WebSocket-Protocol: ${protocol}`);
});

/**
 * Takes the connection over for a WebSocket; a malformed handshake is answered with an error. `ws` refuses
 * subprotocols with a slash, which Kubernetes has, so they are hidden from it.
 * @param protocol The negotiated subprotocol; empty for none.
 */
export function upgradeToWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocol: string,
  opened: (webSocket: WebSocket) => void,
): void {
  chosen.set(request, protocol);
  delete request.headers["sec-websocket-protocol"];
  server.handleUpgrade(request, socket, head, opened);
}
