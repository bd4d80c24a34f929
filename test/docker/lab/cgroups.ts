import { mkdir, readdir, readFile, rmdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./command.js";

const root = "/sys/fs/cgroup";

/**
 * Mounts the control groups where the machine has not: version 2 at /sys/fs/cgroup, or version 1 below it
 * when the kernel has its controllers bound to that. What is mounted stays as it is, hybrid ones too.
 * @throws CommandError when mounting is not allowed.
 */
export async function mountCgroups(): Promise<void> {
  if ((await cgroupMounts()).length > 0) return;
  await mkdir(root, { recursive: true });
  const bound = await version1Hierarchies();
  if (bound.length === 0) {
    await run("mount", ["-t", "cgroup2", "cgroup2", root]);
    return;
  }
  await run("mount", ["-t", "tmpfs", "-o", "mode=755", "cgroup", root]);
  for (const controllers of bound) {
    const folder = join(root, controllers);
    await mkdir(folder);
    await run("mount", ["-t", "cgroup", "-o", controllers, "cgroup", folder]);
    // Each is looked for under its own name as well.
    if (controllers.includes(","))
      for (const name of controllers.split(",")) await symlink(controllers, join(root, name));
  }
}

/** The sets of controllers, "cpu,cpuacct", that the kernel keeps in one hierarchy of version 1 each. */
async function version1Hierarchies(): Promise<string[]> {
  const sets = new Map<string, string[]>();
  for (const line of (await readFile("/proc/cgroups", "utf8").catch(() => "")).split("\n")) {
    const [name = "", hierarchy = "0", , enabled] = line.split("\t");
    if (name.startsWith("#") || hierarchy === "0" || enabled !== "1") continue;
    sets.set(hierarchy, [...(sets.get(hierarchy) ?? []), name]);
  }
  return [...sets.values()].map((names) => names.join(","));
}

/** Where this machine's control groups are mounted. */
export async function cgroupMounts(): Promise<string[]> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  return mounts.split("\n").flatMap((line) => {
    const [, path, type] = line.split(" ");
    return path !== undefined && (type === "cgroup" || type === "cgroup2") ? [path] : [];
  });
}

/** Removes the empty groups that containers of these ids left behind, in every hierarchy. */
export async function removeCgroups(containerIds: readonly string[]): Promise<void> {
  if (containerIds.length === 0) return;
  for (const mount of await cgroupMounts()) await removeBelow(mount, new Set(containerIds), 0);
}

async function removeBelow(folder: string, ids: ReadonlySet<string>, depth: number): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    const path = join(folder, entry.name);
    const id = /[0-9a-f]{64}/.exec(entry.name)?.[0];
    if (id !== undefined && ids.has(id)) await removeTree(path);
    else if (depth < 6) await removeBelow(path, ids, depth + 1);
  }
}

/** Removes a group and those below it, as far as they are empty. */
export async function removeTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(folder, entry.name));
  await rmdir(folder).catch(() => undefined);
}
