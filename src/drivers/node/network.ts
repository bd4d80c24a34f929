import { closeSync } from "node:fs";
import { isIPv6, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { codeOf, onAbort, ShimError, withDeadline, type CallOptions } from "../../base/index.js";
import type { HostNetwork } from "../../host/index.js";

const operation = "network.connect";

/** Connections from other network namespaces, without a process there. */
export class NodeNetwork implements HostNetwork {
  async connect(
    target: { readonly namespacePath: string; readonly address: string; readonly port: number },
    options: CallOptions = {},
  ): Promise<Duplex> {
    const { namespacePath, address, port } = target;
    // Loaded on first use, because most shims do not need it.
    const { socketInNamespace } = await import("./system-calls.js");
    return await withDeadline(operation, options, async (signal) => {
      const socket = socketOf(entered(() => socketInNamespace(namespacePath, isIPv6(address) ? 6 : 4)));
      return await connected(socket, { host: address, port }, signal);
    });
  }
}

function entered(make: () => number): number {
  try {
    return make();
  } catch (cause) {
    if (codeOf(cause) !== "EPERM" && codeOf(cause) !== "EACCES") throw cause;
    throw new ShimError(
      "failed-precondition",
      `${operation}: no permission to enter a pod's network namespace: run as root, or with CAP_SYS_ADMIN`,
      { operation, cause },
    );
  }
}

function socketOf(fd: number): Socket {
  try {
    return new Socket({ fd, allowHalfOpen: true });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

async function connected(
  socket: Socket,
  to: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<Socket> {
  const unlisten = onAbort(signal, () => socket.destroy());
  try {
    await new Promise<void>((resolve, reject) => {
      // The listener stays: the connection may break before its user listens.
      socket.on("error", reject).once("close", () => {
        reject(new Error("the connection was given up"));
      });
      socket.connect(to, resolve);
    });
    return socket.setNoDelay(true);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    unlisten();
  }
}
