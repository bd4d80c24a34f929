import { watch } from "node:fs";
import {
  chmod,
  constants,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  statfs,
  unlink,
} from "node:fs/promises";
import { codeOf, fileError, readRegularFile, type ReadFileOptions } from "../../base/index.js";
import type { FileSystemUsage, HostFiles, HostWatch } from "../../host/index.js";
import { writeAtomic } from "./atomic-write.js";
import { MountPoints } from "./mounts.js";

export class NodeFiles implements HostFiles {
  private readonly mountPoints = new MountPoints();

  read(path: string, options?: ReadFileOptions): Promise<Buffer> {
    return readRegularFile(path, options);
  }

  writeAtomic(
    path: string,
    content: string | Uint8Array,
    options?: { readonly mode?: number; readonly sync?: boolean },
  ): Promise<void> {
    return writeAtomic(path, content, options);
  }

  async overwrite(path: string, content: string): Promise<void> {
    const data = Buffer.from(content);
    const file = await open(path, constants.O_RDWR | constants.O_NONBLOCK);
    try {
      if (!(await file.stat()).isFile()) throw fileError("EINVAL", path, "it is not a regular file");
      // Written before it is truncated, so that a concurrent reader never sees an empty file.
      let written = 0;
      while (written < data.length) {
        written += (await file.write(data, written, data.length - written, written)).bytesWritten;
      }
      await file.truncate(data.length);
    } finally {
      await file.close();
    }
  }

  async list(directory: string): Promise<string[]> {
    try {
      return await readdir(directory);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return [];
      throw error;
    }
  }

  async remove(path: string): Promise<void> {
    try {
      await unlink(path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  async makeDirectory(path: string, options: { readonly mode?: number } = {}): Promise<void> {
    const mode = options.mode ?? 0o755;
    const made = await mkdir(path, { recursive: true, mode });
    // The umask may have cleared bits.
    if (made !== undefined) await chmod(path, mode);
  }

  async kindOf(path: string): Promise<"file" | "directory" | "link" | "other" | undefined> {
    try {
      const stat = await lstat(path);
      if (stat.isFile()) return "file";
      if (stat.isDirectory()) return "directory";
      return stat.isSymbolicLink() ? "link" : "other";
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  realPath(path: string): Promise<string> {
    return realpath(path);
  }

  readLink(path: string): Promise<string> {
    return readlink(path);
  }

  async usage(path: string): Promise<FileSystemUsage> {
    const { bsize, blocks, bfree, files, ffree } = await statfs(path, { bigint: true });
    return {
      totalBytes: blocks * bsize,
      usedBytes: (blocks - bfree) * bsize,
      totalInodes: files,
      usedInodes: files - ffree,
    };
  }

  mountPointOf(path: string): Promise<string> {
    return this.mountPoints.of(path);
  }

  watch(directory: string, changed: () => void): Promise<HostWatch> {
    return new Promise((resolve) => {
      const watcher = watch(directory, { persistent: false }, () => {
        changed();
      });
      // The kernel ends a watch when its directory is removed, as the port documents.
      watcher.on("error", () => {
        watcher.close();
      });
      resolve(watcher);
    });
  }
}

/** True when a path does not exist: a part of it is missing, or too long for a name. */
function isMissing(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "ENAMETOOLONG"].includes(codeOf(error) ?? "");
}
