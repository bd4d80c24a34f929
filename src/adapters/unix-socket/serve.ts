import { createServer, type Server } from "node:net";
import { formatEndpoint, parseEndpoint, ShimError } from "../../base/index.js";
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
import { groupId } from "./group.js";
import { inheritedSocketFd } from "./inherited.js";
import { checkPath, listenOnPath } from "./socket-file.js";

/** The place and the permissions of a Unix socket. One of `path` and `endpoint` is needed. */
export interface UnixSocketOptions extends ServerOptions {
  /** The socket file. Its folder is made when it is missing. */
  readonly path?: string | undefined;
  /** `unix:///absolute/path`, or `fd://` for the socket that systemd passes. */
  readonly endpoint?: string | undefined;
  /** The file's mode; 0660 by default. Write access to the socket is root access to the node. */
  readonly mode?: number | undefined;
  /** The file's group, by name or gid; by default the process's own. */
  readonly group?: string | number | undefined;
}

const defaultMode = 0o660;
const systemdEndpoint = "fd://";

/**
 * Serves gRPC (h2c), Connect JSON and gRPC-Web on a Unix socket: `curl --unix-socket` works.
 * A stale socket file is replaced. Closing removes the file, unless another server has
 * taken its place, or systemd owns it.
 * @throws ShimError "already-exists" when another process answers on the path or it is no socket;
 *   "invalid-argument", "permission-denied" or "failed-precondition" when it cannot be created.
 * @see sd_listen_fds(3) for `fd://`
 */
export async function serveUnixSocket(target: RpcTarget, options: UnixSocketOptions): Promise<RunningServer> {
  const connections = new SocketServer(targetWithLog(target, options.log), options);
  const server = createServer((socket) => {
    connections.accept(socket);
  });
  const log = options.log ?? target.log;
  if (isSystemds(options)) {
    await listenOnInherited(server);
    survive(server, log);
    return runningServer(systemdEndpoint, async (graceMs) => {
      await Promise.all([stopListening(server), connections.close(graceMs)]);
    });
  }
  const gid = options.group === undefined ? undefined : await groupId(options.group);
  const file = await listenOnPath(server, pathOf(options), { mode: options.mode ?? defaultMode, gid });
  survive(server, log);
  return runningServer(formatEndpoint({ kind: "unix", path: file.path }), async (graceMs) => {
    const closing = connections.close(graceMs);
    await file.remove().catch((error: unknown) => {
      log.warn({ err: error, path: file.path }, "could not remove the socket file");
    });
    await Promise.all([stopListening(server), closing]);
  });
}

/**
 * Checks the options of {@link serveUnixSocket}, except for permissions.
 * @throws ShimError as serveUnixSocket does.
 */
export async function checkUnixSocket(options: UnixSocketOptions): Promise<void> {
  if (isSystemds(options)) {
    inheritedSocketFd();
    return;
  }
  if (options.group !== undefined) await groupId(options.group);
  await checkPath(pathOf(options));
}

function isSystemds({ path, endpoint }: UnixSocketOptions): boolean {
  return endpoint === systemdEndpoint && path === undefined;
}

async function listenOnInherited(server: Server): Promise<void> {
  const fd = inheritedSocketFd();
  await listen(server, systemdEndpoint, () => server.listen({ fd }));
  const bound = server.address();
  if (typeof bound !== "object" || bound === null) return;
  server.close();
  throw new ShimError(
    "invalid-argument",
    `systemd passed a TCP socket (${bound.address}:${bound.port}), but fd:// supports only Unix sockets, which have permissions: ` +
      "set ListenStream= to a path, or serve tcp://host:port without a socket unit",
  );
}

function pathOf({ path, endpoint }: UnixSocketOptions): string {
  if ((path === undefined) === (endpoint === undefined)) {
    throw new ShimError("invalid-argument", "serveUnixSocket needs either path or endpoint");
  }
  if (path !== undefined) return path;
  const parsed = parseEndpoint(endpoint ?? "");
  if (parsed.kind === "unix") return parsed.path;
  throw new ShimError("invalid-argument", `endpoint ${String(endpoint)} is not a Unix socket: use serveTcp`);
}
