import { onAbort } from "../../base/index.js";

/**
 * How often a client gets a ping, as from Kubernetes' own clients. A dead connection is detected by the answer to a ping
 * or the one after it, also when nothing else is sent and the client's data waits to be read.
 */
const pingMs = 5_000;

/** The connection of a session to its client. */
export interface ClientConnection {
  /** Aborts when the connection is closed. */
  readonly gone: AbortSignal;
  /** When data was last received or sent, in milliseconds of performance.now(). */
  readonly lastActiveMs: number;
  ping(): void;
  /** Ends the connection at once. */
  destroy(): void;
}

/** Pings a client while its connection is open, and ends the connection after `idleTimeoutMs` without data. */
export function keepAlive(connection: ClientConnection, idleTimeoutMs: number): void {
  const timer = setInterval(
    () => {
      if (performance.now() - connection.lastActiveMs >= idleTimeoutMs) connection.destroy();
      else connection.ping();
    },
    Math.min(pingMs, idleTimeoutMs),
  );
  onAbort(connection.gone, () => {
    clearInterval(timer);
  });
}
