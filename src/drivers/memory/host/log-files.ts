import { posix } from "node:path";
import type { HostLogFiles, LogFile, LogFileStat } from "../../../host/index.js";
import type { FileTree, OpenFile } from "./file-tree.js";
import { fsError } from "./fs-error.js";
import type { HostFaults } from "./host-faults.js";

/** The node's log files, in a {@link FileTree}. */
export class MemoryLogFiles implements HostLogFiles {
  /** How many files are open. */
  open = 0;

  constructor(
    private readonly tree: FileTree,
    private readonly faults: HostFaults,
  ) {}

  async openAppend(
    path: string,
    options: { readonly root: string; readonly mode: number },
  ): Promise<LogFile> {
    await this.faults.meet("logFiles.openAppend", path);
    this.refuseLinks(path, options.root);
    this.makeFolder(posix.dirname(path));
    if (!this.tree.openFile(path)) this.tree.append(path, "", options.mode);
    const file = this.tree.openFile(path);
    if (!file) throw fsError("ENOENT", "open", path);
    return this.handle(path, file);
  }

  async openExisting(path: string, options: { readonly root: string }): Promise<LogFile | undefined> {
    await this.faults.meet("logFiles.openExisting", path);
    this.refuseLinks(path, options.root);
    if (!this.tree.hasDirectory(posix.dirname(path))) return undefined;
    const file = this.tree.openFile(path);
    return file && this.handle(path, file);
  }

  async makeLink(target: string, path: string, { root }: { readonly root: string }): Promise<void> {
    await this.faults.meet("logFiles.makeLink", path);
    this.refuseLinks(posix.dirname(path), root);
    this.makeFolder(posix.dirname(path));
    this.tree.symlink(target, path);
  }

  async removeLink(path: string, { root }: { readonly root: string }): Promise<void> {
    await this.faults.meet("logFiles.removeLink", path);
    if (this.linkOnTheWay(path, root) === posix.normalize(path)) this.tree.remove(path);
  }

  async identityOf(path: string): Promise<string | undefined> {
    await this.faults.meet("logFiles.identityOf", path);
    const inode = this.tree.stat(path)?.inode;
    return inode === undefined ? undefined : String(inode);
  }

  async versionOf(path: string): Promise<string | undefined> {
    await this.faults.meet("logFiles.versionOf", path);
    if (!this.tree.exists(path)) return undefined;
    return `${this.tree.stat(path)?.inode ?? 0}:${this.tree.read(path).length}`;
  }

  private handle(path: string, file: OpenFile): LogFile {
    this.open++;
    return new MemoryLogFile(path, file, this.faults, () => this.open--);
  }

  private makeFolder(path: string): void {
    if (!this.tree.hasDirectory(path)) this.tree.makeDirectory(path);
  }

  private refuseLinks(path: string, root: string): void {
    const link = this.linkOnTheWay(path, root);
    if (link !== undefined) throw fsError("ELOOP", "open", link);
  }

  /** The first link, from the root down. */
  private linkOnTheWay(path: string, root: string): string | undefined {
    let at = posix.dirname(posix.normalize(root));
    for (const name of posix.relative(at, path).split("/")) {
      if (name === "") continue;
      at = posix.join(at, name);
      if (this.tree.stat(at)?.kind === "link") return at;
    }
    return undefined;
  }
}

class MemoryLogFile implements LogFile {
  private isOpen = true;

  constructor(
    private readonly path: string,
    private readonly file: OpenFile,
    private readonly faults: HostFaults,
    private readonly onClose: () => void,
  ) {}

  async append(data: Uint8Array): Promise<number> {
    // The caller may reuse its memory only after the answer.
    await this.use("append");
    this.file.write(Buffer.concat([this.file.read(), data]));
    return data.length;
  }

  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    await this.use("read");
    return Buffer.from(this.file.read().subarray(offsetBytes, offsetBytes + lengthBytes));
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.use("truncate");
    const before = this.file.read();
    this.file.write(
      sizeBytes <= before.length
        ? Buffer.from(before.subarray(0, sizeBytes))
        : Buffer.concat([before, Buffer.alloc(sizeBytes - before.length)]),
    );
  }

  async stat(): Promise<LogFileStat> {
    await this.use("stat");
    return {
      sizeBytes: this.file.read().length,
      identity: String(this.file.inode),
      linked: this.file.isLinked(),
    };
  }

  close(): Promise<void> {
    if (this.isOpen) this.onClose();
    this.isOpen = false;
    return Promise.resolve();
  }

  private async use(method: string): Promise<void> {
    await this.faults.meet(`logFiles.${method}`, this.path);
    if (!this.isOpen) throw fsError("EBADF", method, this.path);
  }
}
