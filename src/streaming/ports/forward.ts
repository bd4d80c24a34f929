import type { Duplex } from "node:stream";
import { onAbort } from "../../base/index.js";

/** The client's end of a forwarded connection. */
export interface PortStream {
  readonly input: AsyncIterable<Buffer>;
  /** Aborts when the client gives the connection up. */
  readonly abandoned: AbortSignal;
  write(data: Uint8Array): Promise<void>;
  /** Ends our half. */
  end(): void;
  /** Cuts both halves. */
  reset(): void;
}

/**
 * Joins a client with a connection to a port until both halves have ended. Either may end first. A connection that
 * breaks cuts the client's.
 */
export async function joinPort(client: PortStream, connection: Duplex): Promise<void> {
  connection.on("error", () => undefined);
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
    // The port may have closed its side for good while the client still sends: that is no failure.
    if (connection.destroyed || !connection.writable) continue;
    if (!connection.write(data)) await writable(connection);
  }
  if (!connection.destroyed) connection.end();
}

async function outOfPort(connection: Duplex, client: PortStream): Promise<void> {
  for await (const data of connection as AsyncIterable<Buffer>) await client.write(data);
  client.end();
}

async function writable(connection: Duplex): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      connection.off("drain", done).off("close", done);
      resolve();
    };
    connection.on("drain", done).on("close", done);
  });
}
