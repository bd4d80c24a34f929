import { constants, fstat, write, type BigIntStats } from "node:fs";
import { lstat, mkdir, open, rename, stat, symlink, unlink, type FileHandle } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { codeOf, fileError } from "../../base/index.js";
import type { HostLogFiles, LogFile, LogFileStat } from "../../host/index.js";
import { temporaryPathFor } from "./atomic-write.js";

const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;
const directoryMode = 0o755;
/** A pipe or a device in place of the file must not block the open. */
const appendFlags = O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK;

/** Log files through Node's own modules; folders are opened by descriptor, so that none can be replaced by a link. */
export class NodeLogFiles implements HostLogFiles {
  async openAppend(
    path: string,
    options: { readonly root: string; readonly mode: number },
  ): Promise<LogFile> {
    const folder = await openFolderBelow(options.root, dirname(path), { make: true });
    try {
      return await NodeLogFile.take(path, await openOrMake(inside(folder, basename(path)), options.mode));
    } catch (error) {
      throw named(error, path);
    } finally {
      await folder.close();
    }
  }

  async openExisting(path: string, options: { readonly root: string }): Promise<LogFile | undefined> {
    let folder: FileHandle | undefined;
    try {
      folder = await openFolderBelow(options.root, dirname(path), { make: false });
      return await NodeLogFile.take(path, await open(inside(folder, basename(path)), appendFlags));
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw named(error, path);
    } finally {
      await folder?.close();
    }
  }

  async makeLink(target: string, path: string, { root }: { readonly root: string }): Promise<void> {
    const folder = await openFolderBelow(root, dirname(path), { make: true });
    try {
      const name = inside(folder, basename(path));
      const temporary = temporaryPathFor(name);
      await symlink(target, temporary);
      await rename(temporary, name).catch(async (error: unknown) => {
        await unlink(temporary);
        throw error;
      });
    } catch (error) {
      throw named(error, path);
    } finally {
      await folder.close();
    }
  }

  async removeLink(path: string, { root }: { readonly root: string }): Promise<void> {
    let folder: FileHandle | undefined;
    try {
      folder = await openFolderBelow(root, dirname(path), { make: false });
      const name = inside(folder, basename(path));
      if ((await lstat(name)).isSymbolicLink()) await unlink(name);
    } catch (error) {
      const isNotThere = ["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"].includes(codeOf(error) ?? "");
      if (!isNotThere) throw named(error, path);
    } finally {
      await folder?.close();
    }
  }

  async identityOf(path: string): Promise<string | undefined> {
    const found = await unlessMissing(lstat(path, { bigint: true }));
    return found && identityOf(found);
  }

  async versionOf(path: string): Promise<string | undefined> {
    const found = await unlessMissing(stat(path, { bigint: true }));
    return found && `${identityOf(found)}:${found.size}:${found.mtimeNs}`;
  }
}

class NodeLogFile implements LogFile {
  private closing: Promise<void> | undefined;
  /** Calls on the descriptor under way. */
  private uses = 0;
  private onUnused: (() => void) | undefined;

  private constructor(private readonly file: FileHandle) {}

  /** Takes ownership of a descriptor. @throws `EINVAL`, and closes it, when it is not a regular file with one name. */
  static async take(path: string, file: FileHandle): Promise<NodeLogFile> {
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw fileError("EINVAL", path, "it is not a plain file");
      if (stat.nlink > 1) throw fileError("EINVAL", path, `the file has ${stat.nlink} names (hard links)`);
      return new NodeLogFile(file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  append(data: Uint8Array): Promise<number> {
    return this.use((fd, done: Done<number>) => {
      write(fd, data, done);
    });
  }

  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(lengthBytes);
    let filled = 0;
    while (filled < lengthBytes) {
      const { bytesRead } = await this.file.read(buffer, filled, lengthBytes - filled, offsetBytes + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.file.truncate(sizeBytes);
  }

  async stat(): Promise<LogFileStat> {
    const stat = await this.use((fd, done: Done<BigIntStats>) => {
      fstat(fd, { bigint: true }, done);
    });
    return { sizeBytes: Number(stat.size), identity: identityOf(stat), linked: stat.nlink > 0n };
  }

  close(): Promise<void> {
    this.closing ??= this.unused().then(() => this.file.close());
    return this.closing;
  }

  /** Runs a call of `fs` on the descriptor, which takes a third of the memory that a FileHandle's methods take. */
  private use<T>(call: (fd: number, done: Done<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      // A descriptor that is closed while in use may already refer to another file.
      if (this.closing) throw fileError("EBADF", "", "the file is closed");
      this.uses++;
      call(this.file.fd, (error, result) => {
        if (--this.uses === 0) this.onUnused?.();
        if (error) reject(error);
        else resolve(result);
      });
    });
  }

  private async unused(): Promise<void> {
    if (this.uses > 0) await new Promise<void>((resolve) => (this.onUnused = resolve));
  }
}

type Done<T> = (error: Error | null, result: T) => void;

/** A path by the descriptor of an open folder, which stays valid when the folder is renamed. */
function inside(folder: FileHandle, name: string): string {
  return `/proc/self/fd/${folder.fd}/${name}`;
}

async function openFolderBelow(
  root: string,
  path: string,
  { make }: { readonly make: boolean },
): Promise<FileHandle> {
  // The root itself is opened from its parent folder, because it may have been replaced by a link.
  const above = dirname(root);
  if (make) await makeFolders(above);
  let folder = await open(above, O_RDONLY | O_DIRECTORY);
  try {
    let at = above;
    for (const name of relative(above, path).split("/")) {
      if (name === "") continue;
      at = join(at, name);
      const next = await openFolder(inside(folder, name), make).catch((error: unknown) => {
        throw named(error, at);
      });
      await folder.close();
      folder = next;
    }
    return folder;
  } catch (error) {
    await folder.close();
    throw error;
  }
}

async function makeFolders(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: directoryMode });
  } catch (error) {
    // Something else is in place of the last directory: opening it results in the right error.
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

async function openFolder(name: string, make: boolean): Promise<FileHandle> {
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  try {
    return await open(name, flags);
  } catch (error) {
    if (codeOf(error) === "ENOENT" && make) {
      await mkdir(name, { mode: directoryMode }).catch((failure: unknown) => {
        if (codeOf(failure) !== "EEXIST") throw failure;
      });
      return await open(name, flags);
    }
    // Linux reports ENOTDIR for a link too when O_DIRECTORY is set.
    const isLink = codeOf(error) === "ENOTDIR" && (await lstat(name)).isSymbolicLink();
    throw isLink ? fileError("ELOOP", name, "a symbolic link instead of a directory") : error;
  }
}

async function openOrMake(name: string, mode: number): Promise<FileHandle> {
  try {
    return await open(name, appendFlags);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
  let file: FileHandle;
  try {
    file = await open(name, appendFlags | O_CREAT | O_EXCL, mode);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    return await open(name, appendFlags);
  }
  try {
    // The umask may have cleared bits.
    await file.chmod(mode);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The error with the caller's path in place of the descriptor's. */
function named(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !error.message.includes("/proc/self/fd/")) return error;
  if (codeOf(error) === "ELOOP") return fileError("ELOOP", path, "a link stands in its place");
  return fileError(codeOf(error) ?? "EIO", path, error.message.replace(/^\w+: |, \w+ '.*$/g, ""));
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function identityOf(stat: BigIntStats): string {
  return `${stat.dev}:${stat.ino}`;
}
