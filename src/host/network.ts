import type { Duplex } from "node:stream";
import type { CallOptions } from "../base/index.js";

/** The networks of the node's processes. */
export interface HostNetwork {
  /**
   * Connects to a TCP port as a process of another network namespace does. The stream has two halves, of which each
   * may end first; the caller must end or destroy it.
   * @param target.namespacePath Such as `/proc/PID/ns/net`.
   * @param target.address An IP address, as seen in there.
   * @throws `ENOENT` when there is no such namespace; `ECONNREFUSED` and others of connect(2); ShimError
   *   "deadline-exceeded" or "cancelled", "failed-precondition" where this process may not enter namespaces.
   */
  connect(
    target: { readonly namespacePath: string; readonly address: string; readonly port: number },
    options?: CallOptions,
  ): Promise<Duplex>;
}
