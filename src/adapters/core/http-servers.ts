import http from "node:http";
import http2 from "node:http2";
import type { GrpcServer } from "../../rpc/serving.js";
import type { NodeListener } from "./connect-listener.js";
import type { Connections } from "./connections.js";

/** The most calls that a client may have under way on one connection. */
const maxConcurrentStreams = 1_000;
const streamWindowBytes = 1024 * 1024;
const sessionWindowBytes = 8 * 1024 * 1024;
/** A session refuses new streams while more than this is queued; one List answer alone may have 16 MiB. */
const maxSessionMemoryMiB = 512;
/** An HTTP/1.1 client that neither sends anything nor waits for an answer is disconnected. */
const http1IdleMs = 30_000;
/** An HTTP/1.1 client has this long for the head of a request, and for all of it, however often it sends a byte. */
const http1HeadMs = 10_000;
const http1RequestMs = 20_000;
const http1CheckMs = 1_000;

/**
 * An HTTP/2 server that does not listen; connections are passed to it with the event `connection`. gRPC is served on
 * its streams; other requests go through Node's compatibility layer to Connect.
 */
export function createHttp2(
  grpc: GrpcServer,
  connect: NodeListener,
  connections: Connections,
): http2.Http2Server {
  const compatible = http2.createServer(connect);
  const server = http2.createServer({
    maxSessionMemory: maxSessionMemoryMiB,
    settings: { maxConcurrentStreams, initialWindowSize: streamWindowBytes },
  });
  server.on("session", (session) => {
    session.setLocalWindowSize(sessionWindowBytes);
    connections.addSession(session);
  });
  server.on("stream", (stream, headers, ...rest) => {
    if (grpc.accepts(headers)) grpc.accept(stream, headers);
    else compatible.emit("stream", stream, headers, ...rest);
  });
  return server;
}

/** An HTTP/1.1 server that does not listen; connections are passed to it with the event `connection`. */
export function createHttp1(connect: NodeListener, connections: Connections): http.Server {
  const deadlines = {
    headersTimeout: http1HeadMs,
    requestTimeout: http1RequestMs,
    connectionsCheckingInterval: http1CheckMs,
  };
  const server = http.createServer(deadlines, (request, response) => {
    const answered = connections.answering(request.socket);
    // From now on the client waits for us, so it may be silent.
    request.once("end", () => request.socket.setTimeout(0));
    response.once("close", answered);
    connect(request, response);
  });
  server.timeout = http1IdleMs;
  // Node's http server checks its deadlines only after this event, which a server that does not listen never emits.
  server.emit("listening");
  return server;
}
