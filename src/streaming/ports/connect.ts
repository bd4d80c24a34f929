import type { Duplex } from "node:stream";
import { isKind, ShimError } from "../../base/index.js";
import type { HostNetwork } from "../../host/index.js";

const deadlineMs = 30_000;

/**
 * Connects to a port on the loopback of a process's network: 127.0.0.1, or ::1 where nothing listens on that. Reads and
 * writes fail when the connection breaks. Without an "error" listener that does not crash the process.
 * @throws The error of the first address.
 */
export async function connectToPod(
  network: HostNetwork,
  pid: number | undefined,
  port: number,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  if (pid === undefined)
    throw new ShimError(
      "failed-precondition",
      "the pod's sandbox has no process, and therefore no network: is the pod running?",
    );
  const connection = await dial(network, { namespacePath: `/proc/${pid}/ns/net`, port }, signal);
  return connection.on("error", () => undefined);
}

async function dial(
  network: HostNetwork,
  target: { readonly namespacePath: string; readonly port: number },
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  const options = { deadlineMs, signal };
  try {
    return await network.connect({ ...target, address: "127.0.0.1" }, options);
  } catch (error) {
    if (isKind(error, "cancelled", "deadline-exceeded", "failed-precondition")) throw error;
    return await network.connect({ ...target, address: "::1" }, options).catch(() => {
      throw error;
    });
  }
}
