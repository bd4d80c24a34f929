import type { Duplex } from "node:stream";
import { maxUnsentBytes, onAbort, readItems, whenSent, wholeChunks, writeBatched } from "../../base/index.js";

/** The client's side of a forwarded connection. */
export interface PortStream {
  readonly input: AsyncIterable<Buffer>;
  /** Aborts when the client drops the connection. */
  readonly abandoned: AbortSignal;
  write(data: Uint8Array): Promise<void>;
  /** Ends our direction. */
  end(): void;
  /** Closes both directions at once. */
  reset(): void;
}

/**
 * Copies between a client and a connection to a port until both directions have ended. Either may end first. If the
 * connection breaks, the client's side is reset.
 */
export async function joinPort(client: PortStream, connection: Duplex): Promise<void> {
  const unlisten = onAbort(client.abandoned, () => connection.destroy());
  try {
    await Promise.all([intoPort(client, connection), outOfPort(connection, client)]);
  } catch {
    client.reset();
  } finally {
    unlisten();
    connection.destroy();
  }
}

async function intoPort(client: PortStream, connection: Duplex): Promise<void> {
  for await (const data of client.input) {
    // The port may have closed its side while the client still sends: that is no failure.
    if (connection.destroyed || !connection.writable) continue;
    writeBatched(connection, data);
    if (connection.writableLength > maxUnsentBytes) await whenSent(connection);
  }
  if (!connection.destroyed) connection.end();
}

async function outOfPort(connection: Duplex, client: PortStream): Promise<void> {
  for await (const data of readItems(connection, wholeChunks)) await client.write(data);
  client.end();
}
