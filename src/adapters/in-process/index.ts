import { createRouterTransport, type Transport } from "@connectrpc/connect";
import { mountHandlers, type RpcOptions, type RpcTarget } from "../../rpc/serving.js";

/**
 * A transport that calls the handlers in this process. Messages cross as bytes, so that neither side sees
 * what the other does to its own afterwards; limits, errors and log lines are those of a socket.
 */
export function inProcessTransport(target: RpcTarget, options: RpcOptions = {}): Transport {
  return createRouterTransport((router) => {
    mountHandlers(router, { ...options, handlerFor: (method) => target.handlerFor(method), log: target.log });
  });
}
