import { createRouterTransport, type Transport } from "@connectrpc/connect";
import { mountHandlers, type RpcOptions, type RpcTarget } from "../../rpc/serving.js";

/**
 * A transport that calls the handlers in this process. Messages are serialized, so that the two sides share no
 * objects; limits, errors and log lines are the same as on a socket.
 */
export function inProcessTransport(target: RpcTarget, options: RpcOptions = {}): Transport {
  return createRouterTransport((router) => {
    mountHandlers(router, target, options);
  });
}
