import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import type { Lab } from "../docker/lab/index.js";
import { untilPod, type KubeletNode } from "./node.js";
import { container, forever, isReady, manifest } from "./pods.js";

const total = "/proc/sys/vm/nr_hugepages";
const free = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
const wanted = 4;

/**
 * Has the machine hold some huge pages until the lab closes. A kubelet that starts later finds them.
 * @returns Why there are none.
 */
export async function reserveHugePages(lab: Lab): Promise<string | undefined> {
  try {
    const before = await readFile(total, "utf8");
    if (!(await readFile("/proc/meminfo", "utf8")).includes("Hugepagesize:       2048 kB"))
      return "huge pages of this machine have not 2 MiB";
    lab.defer("huge pages", async () => {
      await writeFile(total, before);
    });
    await writeFile(total, String(Number(before) + wanted));
    const more = Number(await readFile(total, "utf8")) - Number(before);
    return more >= wanted ? undefined : `this machine reserves ${more} of ${wanted} huge pages`;
  } catch (error) {
    return `this machine reserves no huge pages: ${String(error)}`;
  }
}

export const hugePod = manifest("huge", {
  volumes: [{ name: "huge", emptyDir: { medium: "HugePages" } }],
  containers: [
    container("main", forever, {
      resources: { limits: { "hugepages-2Mi": "4Mi", memory: "32Mi", cpu: "100m" } },
      volumeMounts: [{ name: "huge", mountPath: "/huge" }],
    }),
  ],
});

/** The pod has its huge pages in a volume of its own. */
export async function assertHugePages({ kubelet }: KubeletNode): Promise<void> {
  await untilPod(kubelet, "huge", isReady);
  assert.match(await kubelet.api.output("huge", "main", "cat", "/proc/mounts"), /^\S+ \/huge hugetlbfs /m);
  const before = Number(await readFile(free, "utf8"));
  await kubelet.api.output("huge", "main", "fallocate", "-l", "4194304", "/huge/pages");
  assert.equal(Number(await readFile(free, "utf8")), before - 2);
}
