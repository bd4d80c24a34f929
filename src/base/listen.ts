import type { AddressInfo, Server } from "node:net";
import { messageOf, ShimError } from "./errors.js";

/**
 * Makes a server listen on a TCP port.
 * @param failure The beginning of the error's text.
 * @throws ShimError "already-exists" when the port is taken; else "failed-precondition".
 */
export function listenOn(
  server: Server,
  where: { readonly host: string; readonly port: number },
  failure: string,
): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const kind = cause.code === "EADDRINUSE" ? "already-exists" : "failed-precondition";
      reject(new ShimError(kind, `${failure}: ${messageOf(cause)}`, { cause }));
    });
    server.listen(where, () => {
      server.removeAllListeners("error");
      resolve(server.address() as AddressInfo);
    });
  });
}
