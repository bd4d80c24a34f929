import { readFile } from "node:fs/promises";

/** Where the kernel accounts a container: every hierarchy that its first process is in, by controller. */
export async function cgroupFolders(pid: number): Promise<ReadonlyMap<string, string>> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, "utf8")).trim().split("\n");
  const folders = new Map<string, string>();
  for (const line of lines) {
    const [, controllers = "", path = ""] = line.split(":");
    if (controllers === "") folders.set("", `/sys/fs/cgroup${path}`);
    for (const controller of controllers.split(","))
      folders.set(controller, `/sys/fs/cgroup/${controller}${path}`);
  }
  return folders;
}
