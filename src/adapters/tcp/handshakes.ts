import type { Socket } from "node:net";

/** A handshake that has not ended by then is not going to. */
const handshakeMs = 10_000;

/**
 * The TLS handshakes under way, each with a deadline. Node's own handshakeTimeout starts anew with each byte, and only
 * reports.
 */
export class Handshakes {
  private readonly sockets = new Map<string, { readonly socket: Socket; readonly timer: NodeJS.Timeout }>();

  begin(socket: Socket): void {
    const client = clientOf(socket);
    const timer = setTimeout(() => {
      socket.destroy();
    }, handshakeMs);
    this.sockets.set(client, { socket, timer });
    socket.once("close", () => {
      clearTimeout(timer);
      if (this.sockets.get(client)?.socket === socket) this.sockets.delete(client);
    });
  }

  /** @param socket Of TLS, which has the addresses of the one beneath it. */
  done(socket: Socket): void {
    clearTimeout(this.sockets.get(clientOf(socket))?.timer);
  }

  /** Closes every connection, including those with a finished handshake. */
  end(): void {
    for (const { socket } of this.sockets.values()) socket.destroy();
  }
}

function clientOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ""} ${remotePort ?? 0}`;
}
