import { posix } from "node:path";
import { codeOf } from "../../../base/index.js";
import { fsError } from "./fs-error.js";

/** A file's content; a function generates it at each read. */
export type FileContent = Buffer | (() => Buffer);

interface FileNode {
  readonly kind: "file";
  content: FileContent;
  mode: number;
  /** Unchanged when the file is overwritten in place, different when it is replaced. */
  readonly inode: number;
  readonly watchers: Set<() => void>;
}

interface DirectoryNode {
  readonly kind: "directory";
  readonly entries: Map<string, TreeNode>;
  mode: number;
  readonly inode: number;
  readonly watchers: Set<() => void>;
}

interface LinkNode {
  readonly kind: "link";
  readonly target: string;
  readonly inode: number;
}

/** A device or socket, without content. */
interface OtherNode {
  readonly kind: "other";
  readonly inode: number;
}

type TreeNode = FileNode | DirectoryNode | LinkNode | OtherNode;

interface Place {
  readonly parent: DirectoryNode;
  readonly name: string;
  readonly node: TreeNode | undefined;
  /** With every link resolved. */
  readonly path: string;
}

/** An open file. */
export interface OpenFile {
  readonly inode: number;
  read(): Buffer;
  write(content: Buffer): void;
  /** False once its last name is removed. */
  isLinked(): boolean;
}

const mostLinks = 40;
/** Linux' limits of a path, and of each name in it. */
const longestPathBytes = 4095;
const longestNameBytes = 255;

/** Files, folders and links in memory. Methods are synchronous and throw Node's own errors. */
export class FileTree {
  private nextInode = 2;
  private readonly root = newDirectory(0o755, 1);

  read(path: string): Buffer {
    const { node } = this.find(path, "open");
    if (!node) throw fsError("ENOENT", "open", path);
    if (node.kind !== "file") throw fsError(node.kind === "directory" ? "EISDIR" : "EINVAL", "read", path);
    return Buffer.from(typeof node.content === "function" ? node.content() : node.content);
  }

  /** Creates a file in an existing folder, replacing a file or link. */
  replace(path: string, content: string | Uint8Array | (() => Buffer), mode: number): void {
    const { parent, name, node } = this.find(path, "open", { followLast: false });
    if (node?.kind === "directory") throw fsError("EISDIR", "rename", path);
    put(parent, name, newFile(toContent(content), mode, this.nextInode++));
  }

  /** Overwrites an existing file in place; links are followed. */
  overwrite(path: string, content: string | Uint8Array): void {
    const { parent, node } = this.find(path, "open");
    if (!node) throw fsError("ENOENT", "open", path);
    if (node.kind !== "file") throw fsError(node.kind === "directory" ? "EISDIR" : "EINVAL", "open", path);
    node.content = Buffer.from(content);
    tell(parent, node);
  }

  /** Appends to a file, and creates it when it is missing. */
  append(path: string, content: string | Uint8Array, mode = 0o644): void {
    const { parent, name, node } = this.find(path, "open");
    if (!node) {
      put(parent, name, newFile(Buffer.from(content), mode, this.nextInode++));
      return;
    }
    if (node.kind !== "file") throw fsError(node.kind === "directory" ? "EISDIR" : "EINVAL", "open", path);
    const before = typeof node.content === "function" ? node.content() : node.content;
    node.content = Buffer.concat([before, Buffer.from(content)]);
    tell(parent, node);
  }

  /**
   * Opens a file, which stays the same file when it is renamed or removed; undefined when it is missing.
   * @throws `ELOOP` for a link in its place, `EINVAL` for anything but a file.
   */
  openFile(path: string): OpenFile | undefined {
    const { node, parent } = this.find(path, "open", { followLast: false });
    if (!node) return undefined;
    if (node.kind !== "file") throw fsError(node.kind === "link" ? "ELOOP" : "EINVAL", "open", path);
    return {
      inode: node.inode,
      read: () => (typeof node.content === "function" ? node.content() : node.content),
      write: (content) => {
        node.content = content;
        tell(parent, node);
      },
      isLinked: () => holds(this.root, node),
    };
  }

  /** Creates a folder and its missing parents. */
  makeDirectory(path: string, mode = 0o755): void {
    let at = "/";
    for (const name of posix.normalize(path).split("/")) {
      if (name === "") continue;
      at = posix.join(at, name);
      const { parent, name: last, node } = this.find(at, "mkdir");
      if (!node) {
        put(parent, last, newDirectory(mode, this.nextInode++));
      } else if (node.kind !== "directory") throw fsError(at === path ? "EEXIST" : "ENOTDIR", "mkdir", path);
    }
  }

  /** @throws `ENOENT`, `ENOTDIR`. */
  list(path: string): string[] {
    const { node } = this.find(path, "scandir");
    if (!node) throw fsError("ENOENT", "scandir", path);
    if (node.kind !== "directory") throw fsError("ENOTDIR", "scandir", path);
    return [...node.entries.keys()];
  }

  /** Removes a file, a link or an empty folder. @throws `ENOENT`, `ENOTEMPTY`. */
  remove(path: string): void {
    const { parent, name, node } = this.find(path, "unlink", { followLast: false });
    if (!node) throw fsError("ENOENT", "unlink", path);
    if (node.kind === "directory" && node.entries.size > 0) throw fsError("ENOTEMPTY", "rmdir", path);
    take(parent, name);
  }

  /** Removes a path with its content. Succeeds if it is missing. */
  removeAll(path: string): void {
    const found = this.tryFind(path, { followLast: false });
    if (found?.node) take(found.parent, found.name);
  }

  rename(from: string, to: string): void {
    const source = this.find(from, "rename", { followLast: false });
    if (!source.node) throw fsError("ENOENT", "rename", from);
    const target = this.find(to, "rename", { followLast: false });
    if (target.node?.kind === "directory" && source.node.kind !== "directory") {
      throw fsError("EISDIR", "rename", to);
    }
    source.parent.entries.delete(source.name);
    tell(source.parent);
    put(target.parent, target.name, source.node);
  }

  symlink(target: string, path: string): void {
    const { parent, name, node } = this.find(path, "symlink", { followLast: false });
    if (node?.kind === "directory") throw fsError("EISDIR", "symlink", path);
    put(parent, name, { kind: "link", target, inode: this.nextInode++ });
  }

  /** Creates a device or a socket, and its parent folders. */
  special(path: string): void {
    this.makeDirectory(posix.dirname(path));
    const { parent, name } = this.find(path, "mknod", { followLast: false });
    put(parent, name, { kind: "other", inode: this.nextInode++ });
  }

  /**
   * Calls `changed` soon after something in a folder was created, written or removed, or a file was written, and when the
   * folder or the file is removed.
   * @returns Ends the watch.
   */
  watch(path: string, changed: () => void): () => void {
    const { node } = this.find(path, "watch");
    if (!node) throw fsError("ENOENT", "watch", path);
    if (node.kind !== "directory" && node.kind !== "file") throw fsError("EINVAL", "watch", path);
    let closed = false;
    const watcher = () => {
      setImmediate(() => {
        if (!closed) changed();
      });
    };
    node.watchers.add(watcher);
    return () => {
      closed = true;
      node.watchers.delete(watcher);
    };
  }

  /** The node at the path, links not followed; undefined when it is missing. */
  stat(path: string): { kind: TreeNode["kind"]; mode: number; inode: number } | undefined {
    const node = this.tryFind(path, { followLast: false })?.node;
    if (!node) return undefined;
    const mode = node.kind === "file" || node.kind === "directory" ? node.mode : 0o777;
    return { kind: node.kind, mode, inode: node.inode };
  }

  /** True when the path exists, links followed. */
  exists(path: string): boolean {
    return this.tryFind(path)?.node !== undefined;
  }

  /** Whether a folder exists, links followed. @throws `ENOTDIR` for anything but a folder in the path. */
  hasDirectory(path: string): boolean {
    try {
      const { node } = this.find(path, "open");
      if (node && node.kind !== "directory") throw fsError("ENOTDIR", "open", path);
      return node !== undefined;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return false;
      throw error;
    }
  }

  readLink(path: string): string {
    const { node } = this.find(path, "readlink", { followLast: false });
    if (!node) throw fsError("ENOENT", "readlink", path);
    if (node.kind !== "link") throw fsError("EINVAL", "readlink", path);
    return node.target;
  }

  realPath(path: string): string {
    const { node, path: real } = this.find(path, "realpath");
    if (!node) throw fsError("ENOENT", "realpath", path);
    return real;
  }

  private tryFind(path: string, options: { readonly followLast?: boolean } = {}): Place | undefined {
    try {
      return this.find(path, "stat", options);
    } catch {
      return undefined;
    }
  }

  /** Resolves a path. Its folder exists; the last part need not. */
  private find(path: string, syscall: string, options: { readonly followLast?: boolean } = {}): Place {
    if (!path.startsWith("/") || path.includes("\0")) throw fsError("EINVAL", syscall, path);
    if (Buffer.byteLength(path) > longestPathBytes) throw fsError("ENAMETOOLONG", syscall, path);
    const parts = path.split("/").filter((part) => part !== "" && part !== ".");
    const trail: { name: string; directory: DirectoryNode }[] = [];
    let here: DirectoryNode = this.root;
    let links = 0;
    for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
      if (part === "..") {
        trail.pop();
        here = trail.at(-1)?.directory ?? this.root;
        continue;
      }
      if (Buffer.byteLength(part) > longestNameBytes) throw fsError("ENAMETOOLONG", syscall, path);
      const node = here.entries.get(part);
      const isLast = parts.length === 0;
      if (node?.kind === "link" && !(isLast && options.followLast === false)) {
        if (++links > mostLinks) throw fsError("ELOOP", syscall, path);
        parts.unshift(...node.target.split("/").filter((name) => name !== "" && name !== "."));
        if (node.target.startsWith("/")) {
          trail.length = 0;
          here = this.root;
        }
        if (parts.length > 0) continue;
        break;
      }
      const real = `/${[...trail.map(({ name }) => name), part].join("/")}`;
      if (isLast) return { parent: here, name: part, node, path: real };
      if (!node) throw fsError("ENOENT", syscall, path);
      if (node.kind !== "directory") throw fsError("ENOTDIR", syscall, path);
      here = node;
      trail.push({ name: part, directory: node });
    }
    // The path ends in one of its own parent folders: the root, "..", or a link to one of them.
    const name = trail.at(-1)?.name ?? ".";
    const parent = trail.at(-2)?.directory ?? this.root;
    return { parent, name, node: here, path: `/${trail.map((step) => step.name).join("/")}` };
  }
}

function toContent(content: string | Uint8Array | (() => Buffer)): FileContent {
  return typeof content === "function" ? content : Buffer.from(content);
}

function newDirectory(mode: number, inode: number): DirectoryNode {
  return { kind: "directory", entries: new Map(), mode, inode, watchers: new Set() };
}

function newFile(content: FileContent, mode: number, inode: number): FileNode {
  return { kind: "file", content, mode, inode, watchers: new Set() };
}

function tell(...nodes: (DirectoryNode | FileNode)[]): void {
  for (const { watchers } of nodes) for (const watcher of watchers) watcher();
}

function put(parent: DirectoryNode, name: string, node: TreeNode): void {
  parent.entries.set(name, node);
  tell(parent);
}

function take(parent: DirectoryNode, name: string): void {
  const node = parent.entries.get(name);
  parent.entries.delete(name);
  tell(parent);
  if (node?.kind === "directory") tellAll(node);
  else if (node?.kind === "file") tell(node);
}

/** Ends the watches of a removed folder and its child folders. */
function tellAll(directory: DirectoryNode): void {
  tell(directory);
  for (const node of directory.entries.values()) {
    if (node.kind === "directory") tellAll(node);
    else if (node.kind === "file") tell(node);
  }
}

function holds(directory: DirectoryNode, wanted: FileNode): boolean {
  for (const node of directory.entries.values()) {
    if (node === wanted || (node.kind === "directory" && holds(node, wanted))) return true;
  }
  return false;
}
