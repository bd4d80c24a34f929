import { serveTcp, type ServerTls } from "../adapters/tcp/index.js";
import { checkTcp } from "../adapters/tcp/serve.js";
import { serveUnixSocket, type RunningServer } from "../adapters/unix-socket/index.js";
import { checkUnixSocket } from "../adapters/unix-socket/serve.js";
import { messageOf, parseEndpoint, readRegularFile, ShimError } from "../base/index.js";
import type { Shim } from "../composition/index.js";
import type { ServeConfig } from "../config/index.js";

type ListenConfig = ServeConfig["listen"];

/** Where a server listens, in the configuration's words. */
export function endpointsOf({ endpoint, imageEndpoint }: ListenConfig): string[] {
  return imageEndpoint === undefined ? [endpoint] : [endpoint, imageEndpoint];
}

/**
 * Opens the sockets of a server; all or none.
 * @throws ShimError "invalid-argument" for what is wrong in the configuration; else what the adapter says.
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
 * Finds what keeps a server from listening on an endpoint, but for rights and the port, before anything is begun.
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

/** What the adapter of an endpoint is told. */
async function placeOf(endpoint: string, config: ListenConfig) {
  const parsed = endpoint === "fd://" ? undefined : parseEndpoint(endpoint);
  if (parsed?.kind !== "tcp")
    return { endpoint, mode: Number.parseInt(config.socketMode, 8), group: config.socketGroup };
  const { host, port } = parsed;
  const tls = config.tls && (await readTls(config.tls));
  return { host, port, tls, allowInsecureRemote: config.allowInsecureRemote };
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
