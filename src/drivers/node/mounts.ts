import { closeSync, open, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** `O_PATH`: a descriptor for a path without opening the file, so that no device or pipe blocks. */
const openPath = 0o10000000;
const openFile = promisify(open);

/**
 * Finds the mounts of paths. The mount table of a node with many pods is long, and reading it takes milliseconds:
 * it is read again only for a new mount.
 */
export class MountPoints {
  private readonly known = new Map<string, string>();

  /**
   * The mount point of `path`, links followed. The kernel reports the mount's id, which distinguishes mounts on top of
   * each other.
   * @see proc(5), /proc/PID/fdinfo `mnt_id` and /proc/PID/mountinfo
   */
  async of(path: string): Promise<string> {
    const id = await mountIdOf(path);
    const known = this.known.get(id);
    // The kernel reuses the id of a removed mount.
    if (known !== undefined && (await mountIdOf(known).catch(() => undefined)) === id) return known;
    const mounts = parseMountInfo(await readFile("/proc/self/mountinfo", "utf8"));
    // Inside a chroot the mount of the root itself is not listed.
    const found = mounts.get(id) ?? "/";
    this.known.set(id, found);
    return found;
  }
}

async function mountIdOf(path: string): Promise<string> {
  const file = await openFile(path, openPath);
  try {
    const fdinfo = readFileSync(`/proc/self/fdinfo/${file}`, "utf8");
    return /^mnt_id:\s*(\d+)$/m.exec(fdinfo)?.[1] ?? "";
  } finally {
    closeSync(file);
  }
}

/** Mount points by mount id. */
export function parseMountInfo(text: string): Map<string, string> {
  const mounts = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [id, , , , mountPoint] = line.split(" ");
    if (id !== undefined && mountPoint !== undefined) mounts.set(id, unescapeOctal(mountPoint));
  }
  return mounts;
}

/** The kernel escapes space, tab, newline and backslash in a path as three octal digits. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
