import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cgroupMounts, removeCgroupTree, run, type Lab } from "../docker/lab/index.js";
import { keepSysctls } from "../kubelet/kubelet.js";
import { parseGinkgoReport } from "../support/ginkgo.js";
import type { NodeE2eWish } from "./inside.js";

/** One spec's outcome. */
export interface Spec {
  readonly name: string;
  readonly state: string;
  /** Of a failure or a skip. */
  readonly message: string;
}

/** Runs the suite in namespaces of its own, below a control group of its own. Answers the specs that were to run. */
export async function runNodeE2e(lab: Lab, wish: NodeE2eWish): Promise<Spec[]> {
  await keepSysctls(lab);
  const groups = await makeCgroups(lab);
  const enter = groups.map((group) => `echo $$ > ${group}/cgroup.procs`).join("; ");
  const unshare = "exec unshare --mount --net --cgroup --propagation private";
  const inside = join(import.meta.dirname, "inside.ts");
  const command = `${enter}; ${unshare} ${process.execPath} --import tsx ${inside} "$1"`;
  await run("sh", ["-c", command, "sh", JSON.stringify(wish)], {
    timeoutMs: (wish.timeoutMinutes + 10) * 60_000,
    logPath: join(wish.folder, "inside.log"),
  });
  const report = await readFile(join(wish.folder, "report.json"), "utf8").catch(async () => {
    const output = await readFile(join(wish.folder, "suite.log"), "utf8");
    throw new Error(`the suite ended without a report: ${output.slice(-2000)}`);
  });
  return parseGinkgoReport(report)
    .filter(({ type, state }) => type === "It" || state === "failed")
    .map(({ containers, text, state, message }) => ({
      name: [...containers, text].join(" "),
      state,
      message,
    }))
    .filter(({ state, message }) => state !== "skipped" || message !== "");
}

/** A control group in each hierarchy, which the suite sees as the root. */
async function makeCgroups(lab: Lab): Promise<string[]> {
  const mounts = await cgroupMounts();
  const groups = mounts.map((mount) => join(mount, `dclnodee2e${process.pid}`));
  lab.defer("the control groups of the node e2e suite", async () => {
    for (const group of groups) await removeCgroupTree(group);
  });
  for (const [at, group] of groups.entries()) {
    await mkdir(group);
    // A cpuset takes no process before it has these.
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      const value = await readFile(join(mounts[at] ?? "", file), "utf8").catch(() => "");
      if (value.trim() !== "") await writeFile(join(group, file), value);
    }
  }
  return groups;
}
