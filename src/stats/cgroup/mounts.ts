/** A mounted hierarchy of cgroups, or the part of one that a container is shown. */
export interface CgroupMount {
  /** The cgroup that is seen at the mount point; `/` is all of them. */
  readonly root: string;
  readonly mountPoint: string;
}

/** The hierarchies that are mounted, each perhaps in several places. */
export interface CgroupMounts {
  /** cgroup v2. */
  readonly unified: readonly CgroupMount[];
  /** cgroup v1, by controller; a named hierarchy without controllers is left out. */
  readonly controllers: ReadonlyMap<string, readonly CgroupMount[]>;
}

/**
 * Finds the hierarchies in a mount table.
 * @param text Of /proc/self/mountinfo.
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

/** The folder of a cgroup; undefined when none of the mounts shows it. */
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

/** The kernel writes space, tab, newline and backslash of a path as three octal digits. */
function unescapePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
