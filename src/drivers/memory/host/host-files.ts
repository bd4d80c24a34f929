import { posix } from "node:path";
import { fileTooLarge, readFileDefaults, withDeadline, type ReadFileOptions } from "../../../base/index.js";
import type { FileSystemUsage, HostFiles, HostWatch } from "../../../host/index.js";
import { fsError } from "./fs-error.js";
import type { FileTree } from "./file-tree.js";
import type { HostFaults } from "./host-faults.js";

const defaultUsage: FileSystemUsage = {
  totalBytes: 64n * 1024n ** 3n,
  usedBytes: 16n * 1024n ** 3n,
  totalInodes: 4_194_304n,
  usedInodes: 262_144n,
};

/** The node's files, in a {@link FileTree}. */
export class MemoryHostFiles implements HostFiles {
  /** The results of {@link usage} by mount point; other mount points get a plausible default. */
  readonly usages = new Map<string, FileSystemUsage>();
  /** The mount points. */
  readonly mountPoints = new Set(["/"]);

  constructor(
    /** The files, for tests. */
    readonly tree: FileTree,
    private readonly faults: HostFaults,
  ) {}

  async read(path: string, options: ReadFileOptions = {}): Promise<Buffer> {
    const { maxBytes, deadlineMs, signal } = { ...readFileDefaults, ...options };
    return await withDeadline(`read ${path}`, { deadlineMs, signal }, async (ended) => {
      await this.faults.meet("files.read", path, ended);
      const content = this.tree.read(path);
      if (content.length > maxBytes) throw fileTooLarge(path, content.length, maxBytes);
      return content;
    });
  }

  async writeAtomic(
    path: string,
    content: string | Uint8Array,
    options: { readonly mode?: number } = {},
  ): Promise<void> {
    await this.faults.meet("files.writeAtomic", path);
    this.tree.makeDirectory(posix.dirname(path));
    this.tree.replace(path, content, options.mode ?? 0o600);
  }

  async overwrite(path: string, content: string): Promise<void> {
    await this.faults.meet("files.overwrite", path);
    this.tree.overwrite(path, content);
  }

  async list(directory: string): Promise<string[]> {
    await this.faults.meet("files.list", directory);
    if (!this.tree.exists(directory)) return [];
    return this.tree.list(directory);
  }

  async remove(path: string): Promise<void> {
    await this.faults.meet("files.remove", path);
    const kind = this.tree.stat(path)?.kind;
    if (kind === "directory") throw fsError("EISDIR", "unlink", path);
    if (kind) this.tree.remove(path);
  }

  async makeDirectory(path: string, options: { readonly mode?: number } = {}): Promise<void> {
    await this.faults.meet("files.makeDirectory", path);
    this.tree.makeDirectory(path, options.mode);
  }

  async kindOf(path: string): Promise<"file" | "directory" | "link" | "other" | undefined> {
    await this.faults.meet("files.kindOf", path);
    return this.tree.stat(path)?.kind;
  }

  async realPath(path: string): Promise<string> {
    await this.faults.meet("files.realPath", path);
    return this.tree.realPath(path);
  }

  async readLink(path: string): Promise<string> {
    await this.faults.meet("files.readLink", path);
    return this.tree.readLink(path);
  }

  async usage(path: string): Promise<FileSystemUsage> {
    await this.faults.meet("files.usage", path);
    if (!this.tree.exists(path)) throw fsError("ENOENT", "statfs", path);
    return this.usages.get(this.mountOf(path)) ?? defaultUsage;
  }

  async mountPointOf(path: string): Promise<string> {
    await this.faults.meet("files.mountPointOf", path);
    return this.mountOf(path);
  }

  async watch(directory: string, changed: () => void): Promise<HostWatch> {
    await this.faults.meet("files.watch", directory);
    return { close: this.tree.watch(directory, changed) };
  }

  private mountOf(path: string): string {
    const real = this.tree.realPath(path);
    const points = [...this.mountPoints].filter(
      (point) => point === "/" || real === point || real.startsWith(`${point}/`),
    );
    return points.reduce((longest, point) => (point.length > longest.length ? point : longest), "/");
  }
}
