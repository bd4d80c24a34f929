/** A mounted cgroup hierarchy, or the part of it that is visible in a container. */
export interface CgroupMount {
  /** The cgroup at the mount point; `/` is the root. */
  readonly root: string;
  readonly mountPoint: string;
}

/** The mounted hierarchies, each of which may be mounted several times. */
export interface CgroupMounts {
  /** cgroup v2. */
  readonly unified: readonly CgroupMount[];
  /** cgroup v1, by controller, without named hierarchies. */
  readonly controllers: ReadonlyMap<string, readonly CgroupMount[]>;
}

/**
 * Finds the hierarchies in a mount table.
 * @param text The content of /proc/self/mountinfo.
 * @see proc_pid_mountinfo(5); cgroups(7)
 */
export function parseCgroupMounts(text: string): CgroupMounts {
  const unified: CgroupMount[] = [];
  const controllers = new Map<string, CgroupMount[]>();
  for (const line of text.split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    const [, , , root, mountPoint] = left.split(" ");
    const [type, , superOptions = ""] = right.split(" ");
    if (root === undefined || mountPoint === undefined) continue;
    const mount = { root: unescapePath(root), mountPoint: unescapePath(mountPoint) };
    if (type === "cgroup2") unified.push(mount);
    if (type !== "cgroup") continue;
    for (const controller of superOptions.split(",")) {
      controllers.set(controller, [...(controllers.get(controller) ?? []), mount]);
    }
  }
  return { unified, controllers };
}

/** The folder of a cgroup; undefined when it is not visible at any mount. */
export function folderOf(mounts: readonly CgroupMount[], cgroup: string): string | undefined {
  for (const { root, mountPoint } of mounts) {
    const below = root === "/" ? cgroup : belowOf(root, cgroup);
    if (below === undefined || below.split("/").includes("..")) continue;
    return below === "/" ? mountPoint : `${mountPoint}${below}`;
  }
  return undefined;
}

function belowOf(root: string, cgroup: string): string | undefined {
  if (cgroup === root) return "/";
  return cgroup.startsWith(`${root}/`) ? cgroup.slice(root.length) : undefined;
}

/** The kernel escapes space, tab, newline and backslash in a path as three octal digits. */
function unescapePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
