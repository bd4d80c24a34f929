import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inProcessTransport } from "../../../src/adapters/in-process/index.js";
import { serveTcp } from "../../../src/adapters/tcp/index.js";
import { serveUnixSocket } from "../../../src/adapters/unix-socket/index.js";
import { createClients, type Clients } from "../../../src/client/index.js";
import type { RpcOptions, RpcTarget } from "../../../src/rpc/serving.js";

/** A server on a socket, with a client of it. */
export interface SocketServer extends AsyncDisposable {
  readonly clients: Clients;
  readonly address: string;
  /** A raw connection to the server. */
  readonly dial: () => Socket;
  close(options?: { graceMs?: number }): Promise<void>;
}

export interface SocketAdapter {
  readonly name: string;
  serve(target: RpcTarget, options?: RpcOptions): Promise<SocketServer>;
}

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "docker-cri-wire-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const unix: SocketAdapter = {
  name: "unix socket",
  serve: async (target, options) => {
    const folder = await temporaryFolder();
    const path = join(folder.path, "cri.sock");
    const server = await serveUnixSocket(target, { path, ...options });
    return withClients(
      server,
      () => connect(path),
      async () => {
        await folder[Symbol.asyncDispose]();
      },
    );
  },
};

const tcp: SocketAdapter = {
  name: "tcp",
  serve: async (target, options) => {
    const server = await serveTcp(target, { port: 0, ...options });
    return withClients(
      server,
      () => connect(server.port, server.host),
      () => Promise.resolve(),
    );
  },
};

export const socketAdapters: readonly SocketAdapter[] = [unix, tcp];

function withClients(
  server: { address: string; close(options?: { graceMs?: number }): Promise<void> },
  dial: () => Socket,
  cleanUp: () => Promise<void>,
): SocketServer {
  const clients = createClients({ endpoint: server.address });
  return {
    clients,
    address: server.address,
    dial,
    close: (options) => server.close(options),
    [Symbol.asyncDispose]: async () => {
      clients.close();
      await server.close({ graceMs: 100 });
      await cleanUp();
    },
  };
}

/** Something that answers calls, over a socket or without one. */
export interface Adapter {
  readonly name: string;
  serve(target: RpcTarget, options?: RpcOptions): Promise<{ readonly clients: Clients } & AsyncDisposable>;
}

const inProcess: Adapter = {
  name: "in process",
  serve: (target, options) =>
    Promise.resolve({
      clients: createClients(inProcessTransport(target, options)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
};

export const adapters: readonly Adapter[] = [...socketAdapters, inProcess];
