import { unwatchFile, watchFile, type Stats } from "node:fs";
import { serveTcp, type ServerTls, type TcpServer } from "../adapters/tcp/index.js";
import { checkTcp } from "../adapters/tcp/serve.js";
import { serveUnixSocket, type RunningServer } from "../adapters/unix-socket/index.js";
import { checkUnixSocket } from "../adapters/unix-socket/serve.js";
import { messageOf, parseEndpoint, readRegularFile, ShimError, type Logger } from "../base/index.js";
import type { Shim } from "../composition/index.js";
import type { ServeConfig } from "../config/index.js";

type ListenConfig = ServeConfig["listen"];

/** How often the files of certificates are checked. */
const certificatesMs = 5_000;

/** The part of the configuration that says where a server listens. */
export function endpointsOf({ endpoint, imageEndpoint }: ListenConfig): string[] {
  return imageEndpoint === undefined ? [endpoint] : [endpoint, imageEndpoint];
}

/**
 * Opens the sockets of a server; all or none.
 * @throws ShimError "invalid-argument" for a wrong configuration; else the adapter's error.
 */
export async function listen(shim: Shim, config: ListenConfig): Promise<RunningServer[]> {
  const main = await open(shim, config.endpoint, config);
  if (config.imageEndpoint === undefined) return [main];
  try {
    const images = await open(shim, config.imageEndpoint, config, ["ImageService"]);
    return [main, images];
  } catch (error) {
    await main.close();
    throw error;
  }
}

/**
 * Checks whether a server can listen on an endpoint, except for permissions and the port.
 * @throws ShimError as {@link listen} does.
 */
export async function checkListen(endpoint: string, config: ListenConfig): Promise<void> {
  const where = await placeOf(endpoint, config);
  await ("endpoint" in where ? checkUnixSocket(where) : checkTcp(where));
}

async function open(
  shim: Shim,
  endpoint: string,
  config: ListenConfig,
  services?: readonly ["ImageService"],
): Promise<RunningServer> {
  const where = await placeOf(endpoint, config);
  const only = services && { services };
  return "endpoint" in where
    ? serveUnixSocket(shim, { ...only, ...where })
    : serveTcp(shim, { ...only, ...where });
}

/** The options for the adapter of an endpoint. */
async function placeOf(endpoint: string, config: ListenConfig) {
  const parsed = endpoint === "fd://" ? undefined : parseEndpoint(endpoint);
  if (parsed?.kind !== "tcp")
    return { endpoint, mode: Number.parseInt(config.socketMode, 8), group: config.socketGroup };
  const { host, port } = parsed;
  const tls = config.tls && (await readTls(config.tls));
  return { host, port, tls, allowInsecureRemote: config.allowInsecureRemote };
}

/**
 * Reloads the certificates at SIGHUP, and when one of their files has changed. Open connections stay. An error is
 * logged, and the old certificates stay in use.
 */
export function followCertificates(
  servers: readonly RunningServer[],
  { tls }: ListenConfig,
  log: Logger,
): Disposable {
  const reload = (cause: string) => {
    void reloadTls(servers, tls, log.child({ cause }));
  };
  const onSignal = () => {
    reload("SIGHUP");
  };
  const onChange = (now: Stats, before: Stats) => {
    if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino) reload("file");
  };
  const paths = Object.values(tls ?? {});
  process.on("SIGHUP", onSignal);
  for (const path of paths) watchFile(path, { interval: certificatesMs, persistent: false }, onChange);
  return {
    [Symbol.dispose]: () => {
      process.off("SIGHUP", onSignal);
      for (const path of paths) unwatchFile(path, onChange);
    },
  };
}

async function reloadTls(
  servers: readonly RunningServer[],
  files: ListenConfig["tls"],
  log: Logger,
): Promise<void> {
  if (!files) {
    log.info("SIGHUP ignored: no certificates are configured in listen.tls");
    return;
  }
  try {
    const tls = await readTls(files);
    for (const server of servers) if ("setTls" in server) (server as TcpServer).setTls(tls);
    log.info("certificates reloaded");
  } catch (error) {
    log.error(
      { err: error },
      `could not reload the certificates, the old ones stay in use: ${messageOf(error)}`,
    );
  }
}

async function readTls(files: NonNullable<ListenConfig["tls"]>): Promise<ServerTls> {
  return {
    cert: await readPem("certFile", files.certFile),
    key: await readPem("keyFile", files.keyFile),
    ca: await readPem("clientCaFile", files.clientCaFile),
  };
}

async function readPem(key: string, path: string): Promise<Buffer> {
  try {
    return await readRegularFile(path);
  } catch (cause) {
    throw new ShimError("invalid-argument", `listen.tls.${key}: cannot read ${path}: ${messageOf(cause)}`, {
      cause,
    });
  }
}
