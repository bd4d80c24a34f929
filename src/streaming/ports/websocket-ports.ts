import { messageOf, onAbort } from "../../base/index.js";
import type { WebSocketChannels } from "../../carriers/index.js";
import { joinPort, type PortStream } from "./forward.js";
import type { ConnectPort } from "./spdy-ports.js";

/** Ports over the channels of a WebSocket, one connection each: `port` of the request in order, 2n data, 2n+1 errors. */
export async function serveWebSocketPorts(
  connection: WebSocketChannels,
  ports: readonly number[],
  connect: ConnectPort,
): Promise<void> {
  await Promise.all(ports.map((port, index) => servePort(connection, port, index, connect)));
  await connection.close();
}

async function servePort(
  connection: WebSocketChannels,
  port: number,
  index: number,
  connect: ConnectPort,
): Promise<void> {
  const [data, error] = [2 * index, 2 * index + 1];
  const abandoned = new AbortController();
  const give = () => {
    abandoned.abort();
  };
  const unlisten = onAbort(connection.gone, give);
  const stream: PortStream = {
    input: connection.input(data),
    abandoned: abandoned.signal,
    write: (bytes) => connection.write(data, bytes),
    // The protocol cannot end one direction: when the port has closed its side, the connection ends.
    end: () => {
      connection.discard(data);
    },
    reset: give,
  };
  const number = Buffer.alloc(2);
  number.writeUInt16LE(port);
  try {
    await connection.write(data, number);
    await connection.write(error, number);
    await joinPort(stream, await connect(port, abandoned.signal));
  } catch (cause) {
    await connection.write(error, Buffer.from(messageOf(cause))).catch(() => undefined);
  } finally {
    unlisten();
  }
}
