import type { Socket } from "node:net";
import type { Server } from "node:tls";

/** How long a handshake may take. */
const handshakeMs = 10_000;

/**
 * The TLS handshakes under way on one server, each with a deadline. Node's own handshakeTimeout restarts with each
 * byte, and only emits an event.
 */
export class TlsHandshakes {
  private readonly sockets = new Map<string, Socket>();

  constructor(server: Server) {
    server.on("connection", (socket: Socket) => {
      this.begin(socket);
    });
    server.on("secureConnection", (socket) => {
      // A TLS socket has the addresses of its TCP connection.
      this.sockets.delete(clientOf(socket));
    });
  }

  /** Closes the connections whose handshake has not ended. */
  end(): void {
    for (const socket of this.sockets.values()) socket.destroy();
  }

  private begin(socket: Socket): void {
    const client = clientOf(socket);
    this.sockets.set(client, socket);
    const timer = setTimeout(() => {
      if (this.sockets.get(client) === socket) socket.destroy();
    }, handshakeMs);
    socket.once("close", () => {
      clearTimeout(timer);
      if (this.sockets.get(client) === socket) this.sockets.delete(client);
    });
  }
}

function clientOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ""} ${remotePort ?? 0}`;
}
