import type { DescMethodServerStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext, MethodImpl } from "@connectrpc/connect";
import { Calls } from "./calls.js";
import type { Call } from "./call.js";
import { withCheckedBody } from "./connect-body.js";
import type { Endpoint } from "./endpoint.js";
import type { RpcOptions, RpcTarget } from "./target.js";

/** Connect sets a timer for the whole timeout, and Node fires a longer one at once. */
const longestTimeoutMs = 0x7fff_ffff;

/**
 * Adds the services to a Connect router, for your own server. Handlers are created at their first call; errors, limits
 * and the log line of each call are the same as with the shim's own adapters.
 */
export function mountHandlers(router: ConnectRouter, target: RpcTarget, options: RpcOptions = {}): void {
  mountCalls(router, new Calls(target, options));
}

/** Adds the methods of `calls` to a Connect router. */
export function mountCalls(router: ConnectRouter, calls: Calls): void {
  const options = {
    ...calls.limits,
    maxTimeoutMs: longestTimeoutMs,
    // Compression doubles the latency over a local socket, and clients offer gzip whenever they support it.
    acceptCompression: [],
  };
  const others = router.handlers.length;
  for (const endpoint of calls.endpoints) {
    router.rpc(endpoint.method, endpoint.streams ? stream(calls, endpoint) : unary(calls, endpoint), options);
  }
  const added = router.handlers.splice(others);
  router.handlers.push(...added.map((handler) => withCheckedBody(handler, calls)));
}

function unary(calls: Calls, endpoint: Endpoint): MethodImpl<DescMethodUnary> {
  return (request, context) =>
    calls.unary(
      begin(calls, endpoint, context),
      () => request,
      (message) => message,
    );
}

function stream(calls: Calls, endpoint: Endpoint): MethodImpl<DescMethodServerStreaming> {
  return async function* (request, context) {
    yield* calls.stream(
      begin(calls, endpoint, context),
      () => request,
      (message) => message,
    );
  };
}

function begin(calls: Calls, endpoint: Endpoint, context: HandlerContext): Call {
  const call = calls.begin(endpoint, (name) => context.requestHeader.get(name) ?? undefined);
  call.follow(context.signal, context.timeoutMs());
  return call;
}
