import type { Duplex } from "node:stream";
import type { CallOptions } from "../base/index.js";

/** The networks of the node's processes. */
export interface HostNetwork {
  /**
   * Connects to a TCP port from another network namespace. Either direction of the stream may end first; the caller
   * must end or destroy it.
   * @param target.namespacePath Such as `/proc/PID/ns/net`.
   * @param target.address An IP address in that namespace.
   * @throws `ENOENT` when there is no such namespace; `ECONNREFUSED` and others of connect(2); ShimError
   *   "deadline-exceeded" or "cancelled", "failed-precondition" where this process may not enter namespaces.
   */
  connect(
    target: { readonly namespacePath: string; readonly address: string; readonly port: number },
    options?: CallOptions,
  ): Promise<Duplex>;
}
