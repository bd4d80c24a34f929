import { chmod, chown, lchown, link, lutimes, mkdir, open, symlink, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Header } from "tar-stream";

const allModeBits = 0o7777;

/** The metadata of a file or folder. */
type Look = Pick<Header, "uid" | "gid" | "mode" | "mtime">;

/**
 * A folder that an archive is unpacked into. No other process writes there. An entry is only written into a folder that
 * this class has created, never through a link.
 */
export class UnpackedTree {
  /** The metadata of folders, by path. It is applied at the end: a folder without permissions could not be filled. */
  private readonly folders = new Map<string, Look>([["", impliedFolder()]]);
  private readonly setsOwners = process.getuid?.() === 0;

  private constructor(private readonly root: string) {}

  /** @param root Must not exist yet. */
  static async open(root: string): Promise<UnpackedTree> {
    await mkdir(root, { mode: 0o700 });
    return new UnpackedTree(root);
  }

  /**
   * @param path Of the entry, as {@link pathInside} gives it.
   * @throws EEXIST for a second entry of the same name; Error for a path that leads out of the folder.
   */
  async add(path: string, header: Header, content: AsyncIterable<Uint8Array>): Promise<void> {
    if (header.type === "directory") await this.addFolder(path, header);
    else await this.addFolder(parentOf(path));
    const place = join(this.root, path);
    if (header.type === "file" || header.type === "contiguous-file")
      await this.addFile(place, header, content);
    else if (header.type === "symlink") await this.addSymlink(place, header);
    else if (header.type === "link") await link(this.placeOf(header.linkname), place);
  }

  /** Sets the modes, owners and times of the folders, the inner ones first. */
  async finish(): Promise<void> {
    const inward = [...this.folders].sort(([a], [b]) => depthOf(b) - depthOf(a));
    for (const [path, { uid, gid, mode, mtime }] of inward) {
      const place = join(this.root, path);
      if (this.setsOwners) await chown(place, uid, gid);
      await chmod(place, mode & allModeBits);
      await utimes(place, mtime, mtime);
    }
  }

  /** Creates a folder and its parents. @throws EEXIST when one of them exists and is not a folder. */
  private async addFolder(path: string, header?: Header): Promise<void> {
    if (!this.folders.has(path)) {
      await this.addFolder(parentOf(path));
      await mkdir(join(this.root, path), { mode: 0o700 });
      this.folders.set(path, impliedFolder());
    }
    if (header) this.folders.set(path, header);
  }

  private async addFile(
    place: string,
    { uid, gid, mode, mtime }: Header,
    content: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const file = await open(place, "wx", 0o600);
    try {
      for await (const chunk of content) await file.writeFile(chunk);
      if (this.setsOwners) await file.chown(uid, gid);
      await file.chmod(mode & allModeBits);
      await file.utimes(mtime, mtime);
    } finally {
      await file.close();
    }
  }

  private async addSymlink(place: string, { linkname, uid, gid, mtime }: Header): Promise<void> {
    await symlink(linkname, place);
    if (this.setsOwners) await lchown(place, uid, gid);
    await lutimes(place, mtime, mtime);
  }

  /** The path of an earlier entry, whose folder we created, so that no link is followed. */
  private placeOf(name: string): string {
    const path = pathInside(name);
    if (this.folders.has(parentOf(path))) return join(this.root, path);
    throw new Error(`the archive links to ${JSON.stringify(name)}, which is not in it`);
  }
}

/** The name of an entry without slashes around it. @throws Error for one that leads out of the archive. */
export function pathInside(name: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..") || name.includes("\0")) {
    throw new Error(`the archive names ${JSON.stringify(name)}, which would lie outside`);
  }
  return parts.join("/");
}

/** The metadata of a folder without an entry in the archive. */
function impliedFolder(): Look {
  return { uid: 0, gid: 0, mode: 0o755, mtime: new Date() };
}

function parentOf(path: string): string {
  const parent = dirname(path);
  return parent === "." ? "" : parent;
}

function depthOf(path: string): number {
  return path === "" ? 0 : path.split("/").length;
}
