import { createServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { createSecureContext } from "node:tls";
import { listenOn, messageOf, ShimError, TlsHandshakes, type Logger } from "../../base/index.js";
import { formatBindAddress, parseBindAddress } from "../../config/index.js";
import type { Host } from "../../host/index.js";
import type { StreamingHandler } from "./handler.js";
import { refuse } from "./upgrade.js";

interface TlsFiles {
  readonly certFile: string;
  /** The certificate's file, when absent. */
  readonly keyFile?: string | undefined;
}

export interface StreamingServerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  readonly tls?: TlsFiles | undefined;
  readonly host: Host;
  readonly log: Logger;
  /** How often the certificate's files are checked; every 10 s by default. */
  readonly reloadMs?: number;
  /** How many connections may wait for their upgrade; 2,000 by default, and a kubelet has a handful. */
  readonly maxPending?: number;
}

/** A server for the clients of exec, attach and port-forward. */
export interface StreamingServer {
  /** `http://127.0.0.1:43210`. */
  readonly baseUrl: string;
  /** Accepts no more clients. Upgraded sessions no longer belong to it. */
  close(): void;
}

const headersTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
const maxHeaderBytes = 16 * 1024;
const defaultMaxPending = 2_000;
const defaultReloadMs = 10_000;

/** @throws ShimError "already-exists" when the port is taken; "invalid-argument" for a bad certificate. */
export async function startServer(
  options: StreamingServerOptions,
  handler: StreamingHandler,
): Promise<StreamingServer> {
  const { address, tls, host, log } = options;
  const limits = {
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    maxHeaderSize: maxHeaderBytes,
    connectionsCheckingInterval: 1_000,
  };
  const pem = tls && (await readPem(host, tls));
  const server = pem
    ? createTlsServer({ ...limits, ...pem, minVersion: "TLSv1.2" }, handler)
    : createServer(limits, handler);
  const handshakes = pem && new TlsHandshakes(server as TlsServer);
  server.maxConnections = options.maxPending ?? defaultMaxPending;
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Node counts the upgraded ones too.
    server.maxConnections++;
    socket.once("close", () => server.maxConnections--);
    if (!handler.upgrade(request, socket, head)) refuse(socket, 404, "not found\n");
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  const bound = await listen(server, address);
  server.on("error", (error) => {
    log.error({ err: error }, "could not accept a streaming client");
  });
  const stopReload = tls && pem ? reloadCertificate(server as TlsServer, tls, pem, options) : () => undefined;
  return {
    baseUrl: `${tls ? "https" : "http"}://${formatBindAddress({ host: bound.address, port: bound.port })}`,
    close: () => {
      stopReload();
      server.close();
      server.closeAllConnections();
      handshakes?.end();
    },
  };
}

async function listen(server: Server | TlsServer, address: string): Promise<AddressInfo> {
  const where = parseBindAddress(address);
  if (!where) throw new ShimError("invalid-argument", `streaming: "${address}" is not host:port`);
  return await listenOn(server, where, `streaming: cannot listen on ${address}`);
}

interface Pem {
  readonly cert: Buffer;
  readonly key: Buffer;
}

async function readPem(host: Host, { certFile, keyFile = certFile }: TlsFiles): Promise<Pem> {
  try {
    const pem: Pem = { cert: await host.files.read(certFile), key: await host.files.read(keyFile) };
    createSecureContext(pem);
    return pem;
  } catch (cause) {
    const text = `streaming: the certificate ${certFile} with the key ${keyFile} cannot be used: ${messageOf(cause)}`;
    throw new ShimError("invalid-argument", text, { cause });
  }
}

/** Reloads a changed certificate. If that fails, the old one stays in use. @returns Stops the checks. */
function reloadCertificate(
  server: TlsServer,
  tls: TlsFiles,
  first: Pem,
  { host, log, reloadMs = defaultReloadMs }: StreamingServerOptions,
): () => void {
  let current = first;
  let lastFailure = "";
  const check = async () => {
    try {
      const pem = await readPem(host, tls);
      lastFailure = "";
      if (pem.cert.equals(current.cert) && pem.key.equals(current.key)) return;
      server.setSecureContext({ ...pem, minVersion: "TLSv1.2" });
      current = pem;
      log.info({ certFile: tls.certFile }, "reloaded the certificate of the streaming server");
    } catch (error) {
      const failure = messageOf(error);
      if (failure !== lastFailure)
        log.warn(
          { err: failure },
          "could not reload the certificate of the streaming server, the old one stays in use",
        );
      lastFailure = failure;
    }
  };
  const timer = setInterval(() => void check(), reloadMs);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}
