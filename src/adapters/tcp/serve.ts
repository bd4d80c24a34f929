import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer, type TlsOptions } from "node:tls";
import { formatEndpoint, ShimError, TlsHandshakes, type Logger } from "../../base/index.js";
import type { RpcTarget } from "../../rpc/serving.js";
import {
  listen,
  runningServer,
  SocketServer,
  stopListening,
  survive,
  targetWithLog,
  type RunningServer,
  type ServerOptions,
} from "../core/index.js";
import { isLoopback, listenAddress } from "./address.js";
import { checkTls, type ServerTls } from "./tls.js";

/** The address of a TCP server, and who may connect. */
export interface TcpOptions extends ServerOptions {
  /** 127.0.0.1 by default. */
  readonly host?: string | undefined;
  /** 0 takes a free port; see the server's `address`. */
  readonly port: number;
  readonly tls?: ServerTls | undefined;
  /** Serves other machines without client certificates. Access to the port is root access to the node. */
  readonly allowInsecureRemote?: boolean | undefined;
}

/** A server on TCP. */
export interface TcpServer extends RunningServer {
  readonly host: string;
  readonly port: number;
  /**
   * Uses other certificates for new connections; open ones stay.
   * @throws ShimError "invalid-argument" for certificates that {@link serveTcp} would refuse; the old ones stay in use.
   */
  setTls(tls: ServerTls): void;
}

const keepAliveMs = 60_000;

/**
 * Serves gRPC, gRPC-Web and Connect JSON on one TCP port, over HTTP/2 and HTTP/1.1, with TLS or without.
 * Requests of web pages, which have an Origin, are refused.
 * @throws ShimError "invalid-argument" for an address that other machines reach without TLS and client
 *   certificates, unless `allowInsecureRemote` is set, and for certificates that cannot be read;
 *   "already-exists", "permission-denied" or "failed-precondition" when it cannot listen on the port.
 */
export async function serveTcp(target: RpcTarget, options: TcpOptions): Promise<TcpServer> {
  const { tls, port } = options;
  const address = await checkTcp(options);
  const connections = new SocketServer(targetWithLog(target, options.log), options);
  const server = tls ? secureServer(tls, connections) : plainServer(connections);
  const handshakes = "setSecureContext" in server ? new TlsHandshakes(server) : undefined;
  await listen(server, formatEndpoint({ kind: "tcp", host: address, port }), () => {
    server.listen({ host: address, port });
  });
  const log = options.log ?? target.log;
  survive(server, log);
  const bound = server.address() as AddressInfo;
  const running = runningServer(
    formatEndpoint({ kind: "tcp", host: bound.address, port: bound.port }),
    async (graceMs) => {
      const stopped = stopListening(server);
      await connections.close(graceMs);
      handshakes?.end();
      await stopped;
    },
  );
  if (tls?.ca === undefined) warnOfReach(running.address, address, tls !== undefined, log);
  return {
    ...running,
    host: bound.address,
    port: bound.port,
    setTls: (next) => {
      if (!("setSecureContext" in server) || (next.ca === undefined) !== (tls?.ca === undefined))
        throw new ShimError(
          "invalid-argument",
          "tls: client certificates cannot be turned on or off by a reload",
        );
      checkTls(next);
      server.setSecureContext(contextOf(next));
    },
  };
}

/**
 * Checks the options of {@link serveTcp}, except that the port is free.
 * @returns The address to listen on.
 * @throws ShimError "invalid-argument" as serveTcp does.
 */
export async function checkTcp({
  host,
  tls,
  allowInsecureRemote,
}: Omit<TcpOptions, "port">): Promise<string> {
  const { address, loopback } = await listenAddress(host ?? "127.0.0.1");
  if (!loopback && tls?.ca === undefined && allowInsecureRemote !== true) {
    throw new ShimError(
      "invalid-argument",
      `${address} can be reached from other machines and gives full control of this node: require client certificates (tls), ` +
        "listen on 127.0.0.1, or set allowInsecureRemote",
    );
  }
  if (tls) checkTls(tls);
  return address;
}

function warnOfReach(endpoint: string, address: string, encrypted: boolean, log: Logger): void {
  const reach = isLoopback(address)
    ? "every process on this machine"
    : "every machine that can reach this address";
  log.warn(
    { endpoint, encrypted },
    `TCP without client certificates: ${reach} has full control of this node; use a Unix socket, or require client certificates (tls)`,
  );
}

function contextOf({ cert, key, ca }: ServerTls) {
  return { cert, key, ...(ca === undefined ? undefined : { ca }), minVersion: "TLSv1.2" as const };
}

function plainServer(connections: SocketServer): Server {
  return createServer((socket) => {
    keepAlive(socket);
    connections.accept(socket);
  });
}

function secureServer(tls: ServerTls, connections: SocketServer): TlsServer {
  const options: TlsOptions = {
    ...contextOf(tls),
    ...(tls.ca === undefined ? undefined : { requestCert: true, rejectUnauthorized: true }),
    ALPNProtocols: ["h2", "http/1.1"],
  };
  const server = createTlsServer(options);
  server.on("connection", (socket: Socket) => {
    keepAlive(socket);
  });
  server.on("secureConnection", (socket) => {
    connections.acceptSecure(socket);
  });
  return server;
}

/** TCP keepalive, which closes the connections of machines that were switched off. */
function keepAlive(socket: Socket): void {
  socket.setKeepAlive(true, keepAliveMs).setNoDelay(true);
}
