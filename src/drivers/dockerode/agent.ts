import { Agent, type ClientRequestArgs } from "node:http";
import type { Socket } from "node:net";
import { inspect } from "node:util";

/** Long enough for a burst of calls, short enough that a proxy in between has not yet given up on it. */
const idleMs = 15_000;

/** Keeps connections to the engine open between calls, and says when the last of them has gone. */
export class EngineAgent extends Agent {
  readonly #open = new Set<Socket>();

  /** @param lastClosed Called each time that no connection is left. */
  constructor(private readonly lastClosed: () => void) {
    super({ keepAlive: true, maxFreeSockets: 16, timeout: idleMs });
  }

  /** True when a call may get a connection that an earlier one has used. */
  get keepsConnections(): boolean {
    return this.#open.size > 0;
  }

  override createConnection(
    options: ClientRequestArgs,
    callback?: Parameters<Agent["createConnection"]>[1],
  ): ReturnType<Agent["createConnection"]> {
    const socket = super.createConnection(options, callback) as Socket;
    this.#open.add(socket);
    socket.once("close", () => {
      this.#open.delete(socket);
      if (this.#open.size === 0) this.lastClosed();
    });
    return socket;
  }

  // docker-modem prints its options on every call, debugging or not: unhidden, that walks every socket.
  [inspect.custom](): string {
    return "EngineAgent";
  }
}
