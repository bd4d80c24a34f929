import { posix } from "node:path";
import { extract } from "tar-stream";
import type { ArchiveEntry, HostTrees, MeasureOptions, TreeUsage } from "../../../host/index.js";
import { fsError } from "./fs-error.js";
import type { FileTree } from "./file-tree.js";
import type { HostFaults } from "./host-faults.js";

/** Whole folders, in a {@link FileTree}; hard links become separate files. */
export class MemoryTrees implements HostTrees {
  constructor(
    private readonly tree: FileTree,
    private readonly faults: HostFaults,
  ) {}

  async unpack(
    archive: AsyncIterable<Uint8Array>,
    directory: string,
    { leaveOut = () => false }: { readonly leaveOut?: (entry: ArchiveEntry) => boolean } = {},
  ): Promise<void> {
    await this.faults.meet("trees.unpack", directory);
    const temporary = posix.join(posix.dirname(directory), `.${posix.basename(directory)}.0.tmp`);
    try {
      this.tree.makeDirectory(temporary);
      const entries = extract();
      entries.end(await bytesOf(archive));
      for await (const entry of entries) {
        const { name, type, linkname, mode, mtime } = entry.header;
        const path = posix.normalize(`/${name}`).replace(/^\/|\/$/g, "");
        const content = await bytesOf(entry as AsyncIterable<Uint8Array>);
        if (leaveOut({ path, modifiedAt: mtime })) continue;
        const place = posix.join(temporary, path);
        this.tree.makeDirectory(type === "directory" ? place : posix.dirname(place));
        if (type === "symlink") this.tree.symlink(linkname, place);
        else if (type === "file") this.tree.replace(place, content, mode);
        else if (type === "link")
          this.tree.replace(place, this.tree.read(posix.join(temporary, `/${linkname}`)), mode);
      }
      if (this.tree.exists(directory)) throw fsError("ENOTEMPTY", "rename", directory);
      this.tree.rename(temporary, directory);
    } catch (error) {
      this.tree.removeAll(temporary);
      throw error;
    }
  }

  /** Every file and folder uses whole blocks of 4 KiB, as on most disks. */
  async usage(directory: string, { unlessIn }: MeasureOptions): Promise<TreeUsage> {
    await this.faults.meet("trees.usage", directory);
    if (!this.tree.stat(directory)) throw fsError("ENOENT", "lstat", directory);
    let usedBytes = 0n;
    let inodes = 0n;
    const add = (path: string) => {
      const kind = this.tree.stat(`${directory}${path}`)?.kind;
      if (unlessIn === undefined || !this.tree.stat(`${unlessIn}${path}`)) {
        const bytes = kind === "file" ? this.tree.read(`${directory}${path}`).length : 0;
        usedBytes += kind === "file" ? BigInt(Math.ceil(bytes / 4096) * 4096) : 4096n;
        inodes++;
      }
      if (kind !== "directory") return;
      for (const name of this.tree.list(`${directory}${path}`)) add(`${path}/${name}`);
    };
    add("");
    return { usedBytes, inodes };
  }

  async remove(directory: string, name: string): Promise<void> {
    if (["", ".", ".."].includes(name) || /[/\0]/.test(name)) throw fsError("EINVAL", "rm", name);
    const kind = this.tree.stat(directory)?.kind;
    if (kind === undefined) return;
    if (kind !== "directory") throw fsError("ENOTDIR", "open", directory);
    const path = posix.join(directory, name);
    await this.faults.meet("trees.remove", path);
    this.tree.removeAll(path);
  }
}

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}
