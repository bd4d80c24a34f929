import { Duplex, PassThrough } from "node:stream";
import { withDeadline, type CallOptions } from "../../../base/index.js";
import type { HostNetwork } from "../../../host/index.js";
import { fsError } from "./fs-error.js";
import type { HostFaults } from "./host-faults.js";

/** Accepts a connection to a port. */
export type Listener = (connection: Duplex) => void;

/** The network of a namespace: the listeners by port. */
export class MemoryNamespaceNetwork {
  private readonly listeners = new Map<number, Listener>();

  /** @returns Stops listening. @throws `EADDRINUSE` */
  listen(port: number, listener: Listener): () => void {
    if (this.listeners.has(port)) throw fsError("EADDRINUSE", "listen", `port ${port}`);
    this.listeners.set(port, listener);
    return () => {
      if (this.listeners.get(port) === listener) this.listeners.delete(port);
    };
  }

  /** @throws `ECONNREFUSED` */
  connect(port: number): Duplex {
    const listener = this.listeners.get(port);
    if (!listener) throw fsError("ECONNREFUSED", "connect", `port ${port}`);
    const [client, server] = connectedPair();
    listener(server);
    return client;
  }
}

/** The networks of a node in memory. */
export class MemoryHostNetwork implements HostNetwork {
  /** The node's own. */
  readonly own = new MemoryNamespaceNetwork();

  /** @param networkAt The network of the namespace at a path. */
  constructor(
    private readonly networkAt: (namespacePath: string) => MemoryNamespaceNetwork | undefined,
    private readonly faults: HostFaults,
  ) {}

  async connect(
    {
      namespacePath,
      port,
    }: { readonly namespacePath: string; readonly address: string; readonly port: number },
    options: CallOptions = {},
  ): Promise<Duplex> {
    return await withDeadline("network.connect", options, async (signal) => {
      await this.faults.meet("network.connect", `${namespacePath}:${port}`, signal);
      const network = this.networkAt(namespacePath);
      if (!network) throw fsError("ENOENT", "open", namespacePath);
      // A connection that the caller no longer waits for would stay open.
      signal.throwIfAborted();
      return network.connect(port);
    });
  }
}

/** The two ends of a connection. Its directions end separately; destroying one end breaks the other. */
function connectedPair(): [Duplex, Duplex] {
  const [there, back] = [new PassThrough(), new PassThrough()];
  const end = (readable: PassThrough, writable: PassThrough) => Duplex.from({ readable, writable });
  return [end(back, there), end(there, back)];
}
