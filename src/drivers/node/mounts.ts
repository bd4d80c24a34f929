import { open, readFile } from "node:fs/promises";

/** `O_PATH`: a handle that names a file without opening it, so that no device or pipe blocks. */
const openPath = 0o10000000;

/**
 * The mount point that `path` lies on, links followed. The kernel itself says which mount it is, so that mounts
 * laid over one another are told apart.
 * @see proc(5), /proc/PID/fdinfo `mnt_id` and /proc/PID/mountinfo
 */
export async function mountPointOf(path: string): Promise<string> {
  const handle = await open(path, openPath);
  try {
    const fdinfo = await readFile(`/proc/self/fdinfo/${handle.fd}`, "utf8");
    const id = /^mnt_id:\s*(\d+)$/m.exec(fdinfo)?.[1];
    const mounts = parseMountInfo(await readFile("/proc/self/mountinfo", "utf8"));
    // Inside a chroot the mount of the root itself is not listed.
    return (id === undefined ? undefined : mounts.get(id)) ?? "/";
  } finally {
    await handle.close();
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

/** The kernel writes space, tab, newline and backslash of a path as three octal digits. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
