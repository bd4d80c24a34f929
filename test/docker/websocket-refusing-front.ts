import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { connect, type AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

/** A reverse proxy that passes SPDY on and knows no WebSockets, as old ones in front of API servers do. */
export interface WebSocketRefusingFront extends AsyncDisposable {
  /** The URL at which a streaming URL is reached through it. */
  urlOf(streamingUrl: string): string;
  /** How many WebSockets were refused, and how many other upgrades were passed on. */
  readonly seen: { refused: number; passed: number };
}

export async function startFront(): Promise<WebSocketRefusingFront> {
  const seen = { refused: 0, passed: 0 };
  let behind = { host: "127.0.0.1", port: 0 };
  const server = createServer();
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => undefined);
    if (request.headers.upgrade?.toLowerCase() === "websocket") {
      seen.refused++;
      socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return;
    }
    seen.passed++;
    const onward = connect(behind).on("error", () => socket.destroy());
    const headers = request.rawHeaders
      .map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`))
      .join("");
    onward.write(`${request.method ?? ""} ${request.url ?? ""} HTTP/1.1\r\n${headers}\r\n`);
    onward.write(head);
    socket.pipe(onward).pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    seen,
    urlOf: (streamingUrl) => {
      const { hostname, port: portBehind, pathname } = new URL(streamingUrl);
      behind = { host: hostname, port: Number(portBehind) };
      return `http://127.0.0.1:${port}${pathname}`;
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await Promise.resolve();
    },
  };
}
