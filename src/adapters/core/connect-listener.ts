import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Code, createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { Logger } from "../../base/index.js";
import { mountCalls, type Calls } from "../../rpc/serving.js";

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

/** Takes requests of Node's http and http2 servers. */
export type NodeListener = (request: Request, response: Response) => void;

/**
 * Answers Connect JSON and gRPC-Web requests, over HTTP/1.1 and HTTP/2. A request that Connect cannot parse
 * is answered 400: it must never end the process.
 */
export function connectListener(calls: Calls, log: Logger): NodeListener {
  const router = createConnectRouter();
  mountCalls(router, calls);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (request, response) => {
    // The client disconnected before its answer was complete; Connect ends the call.
    response.on("error", () => undefined);
    request.on("error", () => undefined);
    if (request.headers.origin !== undefined) {
      refuse(request, response, 403, "this server is not for web pages: requests with an Origin are refused");
      return;
    }
    const handler = handlers.get(request.url?.split("?", 1)[0] ?? "");
    if (handler) answer(handler, request, response, log);
    else refuseUnknown(request, response);
  };
}

function answer(handler: UniversalHandler, request: Request, response: Response, log: Logger): void {
  let universal;
  try {
    universal = universalRequestFromNodeRequest(withKnownAuthority(request), response, undefined, undefined);
  } catch (error) {
    log.debug({ err: error }, "cannot read a request");
    refuse(request, response, 400, "the request's address cannot be read");
    return;
  }
  handler(universal)
    .then((answered) => universalResponseToNodeResponse(answered, response))
    .catch((error: unknown) => {
      log.debug({ err: error, rpc: handler.method.name }, "the client did not read its answer");
      setImmediate(() => response.destroy());
    });
}

/**
 * Clients of Unix sockets send all kinds of authorities, a percent-encoded path among them. Node makes a URL
 * of the authority, so it is replaced by a fixed one.
 */
function withKnownAuthority(request: Request): Request {
  if ("authority" in request) Object.defineProperty(request, "authority", { value: "localhost" });
  else request.headers.host = "localhost";
  return request;
}

function refuseUnknown(request: Request, response: Response): void {
  const contentType = request.headers["content-type"] ?? "";
  if (contentType.startsWith("application/grpc")) {
    // A gRPC client does not understand an HTTP 404.
    response.writeHead(200, {
      "content-type": contentType,
      "grpc-status": String(Code.Unimplemented),
      "grpc-message": "unknown service or method; runtime.v1 is served here",
    });
    response.end();
    request.resume();
    return;
  }
  refuse(request, response, 404, "unknown service or method; runtime.v1 is served here");
}

function refuse(request: Request, response: Response, status: number, message: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
  response.end(`${message}\n`);
  request.resume();
}
