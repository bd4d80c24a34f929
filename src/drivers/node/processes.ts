import { readFile } from "node:fs/promises";
import { ShimError } from "../../base/index.js";
import type { HostCommand, HostCommandResult, HostProcesses } from "../../host/index.js";
import { killTree, killWhere } from "./kill-tree.js";
import { isDead, readStatNow } from "./proc-stat.js";
import { runCommand } from "./run-command.js";

export class NodeProcesses implements HostProcesses {
  isAlive(pid: number): Promise<boolean> {
    return new Promise((resolve) => {
      const stat = isPid(pid) ? readStatNow(pid) : undefined;
      resolve(stat !== undefined && !isDead(stat));
    });
  }

  async killTree(pid: number): Promise<number> {
    // To the kernel 0 and negative numbers mean process groups, and 1 is init.
    if (!isPid(pid) || pid === 1 || pid === process.pid) {
      throw new ShimError("invalid-argument", `refusing to kill the process tree of PID ${pid}`, {
        operation: "processes.killTree",
      });
    }
    return killTree(pid);
  }

  killWhere(isMeant: (environment: ReadonlyMap<string, string>) => boolean): Promise<number> {
    return killWhere(isMeant);
  }

  async ownOomScoreAdj(): Promise<number> {
    return Number(await readFile("/proc/self/oom_score_adj", "utf8"));
  }

  run(command: HostCommand): Promise<HostCommandResult> {
    return runCommand(command);
  }
}

function isPid(pid: number): boolean {
  return Number.isSafeInteger(pid) && pid > 0;
}
