import { chmod, chown, link, lstat, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { basename, dirname, join, resolve } from "node:path";
import { messageOf, ShimError } from "../../base/index.js";
import { listen } from "../core/index.js";

/** The kernel's limit. Node truncates a longer path without an error. */
const maxPathBytes = 107;
const probeMs = 2_000;

/** The permissions of the socket file. */
export interface SocketRights {
  readonly mode: number;
  readonly gid: number | undefined;
}

/** A socket file that a server listens on. */
export interface SocketFile {
  readonly path: string;
  /** Removes the file, unless another server has taken its place. Call it before the server closes. */
  remove(): Promise<void>;
}

/**
 * Makes `server` listen on a path. A missing folder is created; a stale socket is replaced. The file has its mode and
 * group as soon as it is at the path.
 *
 * It is created in a private folder and linked to its path. So no umask has to change for the whole process, no client
 * can connect before the permissions are set, and Node, which removes the path that it has bound at close, removes
 * the private one. The other may belong to a successor by then.
 * @throws ShimError "already-exists" when another process answers on the path, or it is no socket;
 *   "invalid-argument" for a path that is too long; "permission-denied"; "failed-precondition".
 */
export async function listenOnPath(server: Server, path: string, rights: SocketRights): Promise<SocketFile> {
  const target = checkedPath(path);
  const nursery = await makeNursery(target);
  try {
    // A name that differs from any name of the socket.
    await removeStale(target, join(nursery, `${basename(target)}.stale`));
    const born = bornAt(nursery, target);
    await listen(server, target, () => server.listen(born));
    await chmod(born, rights.mode);
    if (rights.gid !== undefined) await chown(born, -1, rights.gid);
    const { ino, dev } = await lstat(born);
    await linkNew(born, target);
    return { path: target, remove: () => removeOwn(target, ino, dev) };
  } catch (error) {
    server.close();
    throw socketError(target, error);
  } finally {
    await rm(nursery, { recursive: true, force: true });
  }
}

/**
 * Checks whether {@link listenOnPath} can listen, except for permissions.
 * @throws ShimError "already-exists" and "invalid-argument" as listenOnPath does.
 */
export async function checkPath(path: string): Promise<void> {
  const target = checkedPath(path);
  try {
    await staleAt(target);
  } catch (error) {
    throw socketError(target, error);
  }
}

function checkedPath(path: string): string {
  const target = resolve(path);
  const bytes = Buffer.byteLength(target);
  if (path === "" || path.includes("\0") || bytes > maxPathBytes) {
    throw new ShimError(
      "invalid-argument",
      `socket path ${JSON.stringify(path)}: it must have 1 to ${maxPathBytes} bytes, none of them zero`,
    );
  }
  return target;
}

async function makeNursery(target: string): Promise<string> {
  try {
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    // Not join(), which would remove the dot.
    return await mkdtemp(`${dirname(target)}/.`);
  } catch (error) {
    throw socketError(target, error);
  }
}

/** A name that identifies the socket in `ss -x`, or a short one near the kernel's limit. */
function bornAt(nursery: string, target: string): string {
  const telling = join(nursery, basename(target));
  const born = Buffer.byteLength(telling) <= maxPathBytes ? telling : join(nursery, "s");
  if (Buffer.byteLength(born) <= maxPathBytes) return born;
  throw new ShimError(
    "invalid-argument",
    `socket path ${target}: the path of its directory is too long for a socket`,
  );
}

/** The stale socket at the path, if there is one. */
async function staleAt(target: string) {
  const found = await lstatIfThere(target);
  if (found && !found.isSocket()) {
    throw new ShimError(
      "already-exists",
      `${target} exists and is not a socket: remove it, or choose another path`,
    );
  }
  if (found && (await answers(target))) throw inUse(target);
  return found;
}

async function removeStale(target: string, aside: string): Promise<void> {
  const found = await staleAt(target);
  if (!found) return;
  // Moved before it is checked: another server may have taken the path since the probe.
  await rename(target, aside).catch(ignoreMissing);
  const moved = await lstatIfThere(aside);
  if (moved && moved.ino !== found.ino) {
    await linkNew(aside, target);
    throw inUse(target);
  }
}

/** Links a socket to its path unless the path has been taken meanwhile. */
async function linkNew(from: string, target: string): Promise<void> {
  try {
    await link(from, target);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === "EEXIST" ? inUse(target) : error;
  }
}

function inUse(target: string): ShimError {
  return new ShimError(
    "already-exists",
    `another process answers on ${target}: stop it, or choose another path`,
  );
}

/** Whether a process listens on a socket file; true when in doubt. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolvePromise) => {
    const socket = connect(path);
    const end = (answer: boolean) => {
      socket.destroy();
      resolvePromise(answer);
    };
    socket.setTimeout(probeMs, () => {
      end(true);
    });
    socket.on("connect", () => {
      end(true);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      end(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}

/** While our server is open its inode number is not reused, so a file with this number is ours. */
async function removeOwn(target: string, ino: number, dev: number): Promise<void> {
  const found = await lstatIfThere(target);
  if (found?.ino === ino && found.dev === dev) await rm(target, { force: true });
}

async function lstatIfThere(path: string) {
  return lstat(path).catch(ignoreMissing);
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

function socketError(target: string, error: unknown): ShimError {
  if (error instanceof ShimError) return error;
  const { code } = error as NodeJS.ErrnoException;
  const kind =
    code === "EACCES" || code === "EPERM" || code === "EROFS" ? "permission-denied" : "failed-precondition";
  return new ShimError(kind, `cannot create the socket ${target}: ${messageOf(error)}`, { cause: error });
}
