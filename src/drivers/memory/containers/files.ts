import { posix } from "node:path";
import type { DockerMountPoint } from "../../../docker/index.js";
import { fsError } from "../host/fs-error.js";
import type { FileTree } from "../host/file-tree.js";
import type { ProgramFiles } from "../programs/program.js";

/** The files of a container: its own, and mounted ones of the node. */
export class ContainerFiles implements ProgramFiles {
  private readonly own = new Map<string, Buffer>();

  /**
   * @param mounts Folders and files of the node, by their path in the container.
   * @param readonlyRoot Whether its own files are read-only.
   */
  constructor(
    private readonly node: FileTree,
    private readonly mounts: readonly DockerMountPoint[],
    files: Readonly<Record<string, string>>,
    private readonly readonlyRoot: boolean,
  ) {
    for (const [path, text] of Object.entries(files)) this.own.set(posix.normalize(path), Buffer.from(text));
  }

  read(path: string): Uint8Array {
    const mounted = this.mounted(path);
    if (mounted) return this.node.read(mounted.path);
    const own = this.own.get(posix.normalize(path));
    if (!own) throw fsError("ENOENT", "open", path);
    return Buffer.from(own);
  }

  write(path: string, content: Uint8Array, options: { readonly append?: boolean } = {}): void {
    const mounted = this.mounted(path);
    if (mounted) {
      if (!mounted.writable) throw fsError("EROFS", "open", path);
      if (options.append) this.node.append(mounted.path, content);
      else if (this.node.exists(mounted.path)) this.node.overwrite(mounted.path, content);
      else this.node.replace(mounted.path, content, 0o644);
      return;
    }
    if (this.readonlyRoot) throw fsError("EROFS", "open", path);
    const key = posix.normalize(path);
    const before = options.append ? (this.own.get(key) ?? Buffer.alloc(0)) : Buffer.alloc(0);
    this.own.set(key, Buffer.concat([before, content]));
  }

  /** The container's own files, for an export. */
  entries(): [path: string, content: Buffer][] {
    return [...this.own];
  }

  private mounted(path: string): { readonly path: string; readonly writable: boolean } | undefined {
    const wanted = posix.normalize(path);
    let best: DockerMountPoint | undefined;
    for (const mount of this.mounts) {
      const covers = wanted === mount.target || wanted.startsWith(`${mount.target.replace(/\/$/, "")}/`);
      if (covers && mount.target.length >= (best?.target.length ?? 0)) best = mount;
    }
    if (best?.source === undefined) return undefined;
    return { path: posix.join(best.source, wanted.slice(best.target.length)), writable: best.writable };
  }
}
