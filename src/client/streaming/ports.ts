import { Duplex } from "node:stream";
import { messageOf, ShimError } from "../../base/index.js";
import {
  portForwardProtocol,
  SpdyConnection,
  streamHeaders,
  tunnelProtocol,
  type SpdyStream,
} from "../../carriers/index.js";
import { dialSpdy, dialWebSocket, tunnelOf, type StreamingClientOptions } from "./dial.js";
import { readText } from "./read-text.js";

/** Connections to the ports of a pod, multiplexed in one session. */
export interface PortForward extends Disposable {
  /**
   * Connects to a port on the pod's loopback. A refused connection is an error of the stream.
   * @returns A stream whose two directions end separately.
   */
  connect(port: number): Duplex;
  /** Resolves when the session has ended, for any reason. */
  readonly closed: Promise<void>;
  /** Ends the session and its connections. Idempotent. */
  close(): void;
}

/**
 * Connects to the URL of a PortForward response, of docker-cri or another runtime.
 * @throws ShimError "not-found" for a used or expired URL; "unavailable" and others when the connection fails.
 * @see CRI v1 PortForwardResponse.url
 */
export async function connectPortForward(
  url: string,
  options: StreamingClientOptions = {},
): Promise<PortForward> {
  const transport =
    options.transport === "websocket"
      ? tunnelOf((await dialWebSocket(url, [tunnelProtocol], options)).socket)
      : (await dialSpdy(url, [portForwardProtocol], options)).socket;
  const connection = new SpdyConnection(transport, { role: "client" });
  let requests = 0;
  const close = () => {
    connection.destroy();
  };
  return {
    connect: (port) => openPort(connection, port, String(requests++)),
    closed: new Promise((resolve) => {
      connection.gone.addEventListener("abort", () => {
        resolve();
      });
    }),
    close,
    [Symbol.dispose]: close,
  };
}

function openPort(connection: SpdyConnection, port: number, requestId: string): Duplex {
  const open = (type: string) =>
    connection.open(
      new Map([
        [streamHeaders.type, type],
        [streamHeaders.port, String(port)],
        [streamHeaders.requestId, requestId],
      ]),
    );
  const error = open("error");
  error.end();
  const data = open("data");
  const duplex = portStream(data);
  void failOn(error, duplex, port);
  return duplex;
}

function portStream(stream: SpdyStream): Duplex {
  const chunks = stream.input[Symbol.asyncIterator]();
  const duplex: Duplex = new Duplex({
    allowHalfOpen: true,
    read: () => {
      chunks.next().then(
        ({ done, value }) => duplex.push(done === true ? null : value),
        (cause: unknown) => duplex.destroy(cause as Error),
      );
    },
    write: (data: Buffer, _encoding, done) => {
      stream.write(data).then(() => {
        done();
      }, done);
    },
    final: (done) => {
      stream.end();
      done();
    },
    destroy: (cause, done) => {
      stream.reset();
      done(cause);
    },
  });
  // Without an "error" listener of the user, a broken connection must not crash the process.
  duplex.on("error", () => undefined);
  stream.abandoned.addEventListener("abort", () => {
    const text = "the connection to the port was broken";
    if (!duplex.readableEnded) duplex.destroy(new ShimError("unavailable", text));
  });
  return duplex;
}

async function failOn(error: SpdyStream, duplex: Duplex, port: number): Promise<void> {
  const text = await readText(error.input).catch(messageOf);
  if (text !== "") duplex.destroy(new ShimError("unavailable", `port ${port}: ${text}`));
}
