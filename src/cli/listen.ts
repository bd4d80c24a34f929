import { readFile } from "node:fs/promises";
import { serveTcp, type ServerTls } from "../adapters/tcp/index.js";
import { serveUnixSocket, type RunningServer } from "../adapters/unix-socket/index.js";
import { messageOf, parseEndpoint, ShimError } from "../base/index.js";
import type { Shim } from "../composition/index.js";
import type { ServeConfig } from "../config/index.js";

type ListenConfig = ServeConfig["listen"];

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

async function open(
  shim: Shim,
  endpoint: string,
  config: ListenConfig,
  services?: readonly ["ImageService"],
): Promise<RunningServer> {
  const only = services && { services };
  const parsed = endpoint === "fd://" ? undefined : parseEndpoint(endpoint);
  if (parsed?.kind !== "tcp") {
    const mode = Number.parseInt(config.socketMode, 8);
    return serveUnixSocket(shim, { ...only, endpoint, mode, group: config.socketGroup });
  }
  const { host, port } = parsed;
  const tls = config.tls && (await readTls(config.tls));
  return serveTcp(shim, { ...only, host, port, tls, allowInsecureRemote: config.allowInsecureRemote });
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
    return await readFile(path);
  } catch (cause) {
    throw new ShimError("invalid-argument", `listen.tls.${key}: cannot read ${path}: ${messageOf(cause)}`, {
      cause,
    });
  }
}
