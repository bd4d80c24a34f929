import { existsSync } from "node:fs";
import { mkdir, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

const root = "/sys/fs/cgroup";
/** Version 1's for the weight 100 of version 2, which each group has that is not given another one. */
const sharesOfAHundred = 1_024;

/**
 * Moves a process to a control group of its own with a share of the CPU, as systemd does for a unit with CPUWeight.
 * @param weight 1 to 10000; a group has 100 by default.
 * @returns What removes the group when the process has ended.
 */
export async function weighCpu(pid: number, weight: number): Promise<() => Promise<void>> {
  const isVersion1 = existsSync(join(root, "cpu"));
  const folder = join(root, isVersion1 ? "cpu" : "", `docker-cri-bench-${pid}`);
  if (!isVersion1) await writeFile(join(root, "cgroup.subtree_control"), "+cpu");
  await mkdir(folder);
  const remove = () => rmdir(folder);
  try {
    if (isVersion1) await writeFile(join(folder, "cpu.shares"), `${(weight * sharesOfAHundred) / 100}`);
    else await writeFile(join(folder, "cpu.weight"), `${weight}`);
    await writeFile(join(folder, "cgroup.procs"), `${pid}`);
    return remove;
  } catch (error) {
    await remove();
    throw error;
  }
}
