import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./command.js";
import { withLock } from "./lock.js";
import { machinePath } from "./paths.js";
import { allProcesses } from "./processes.js";

const tables = ["filter", "nat", "raw", "mangle"] as const;

/**
 * Notes the FORWARD policy before the first daemon of the lab sets it to DROP, so that the last one to
 * go can put it back. Does nothing while some dockerd is running.
 */
export async function noteFirewall(): Promise<void> {
  await whileFirewallIsOurs(async () => {
    if (await anyDockerd()) return;
    const rules = await save("filter");
    const policy = rules
      .map((rule) => /^:FORWARD (\w+)/.exec(rule)?.[1])
      .find((found) => found !== undefined);
    await writeFile(await policyFile(), policy ?? "ACCEPT");
  });
}

/**
 * Runs `work` while no other lab changes Docker's rules. A dockerd that starts throws Docker's chains away
 * and makes them anew: of two that start at the same moment one finds the other's and gives up.
 */
export async function whileFirewallIsOurs(work: () => Promise<void>): Promise<void> {
  await withLock("iptables", work);
}

/**
 * Takes back what a daemon has written: the rules that name one of its bridges and, when no dockerd
 * runs on this machine any more, Docker's own chains and its policy for FORWARD.
 */
export async function restoreFirewall(bridges: readonly string[]): Promise<void> {
  await whileFirewallIsOurs(async () => {
    const last = !(await anyDockerd());
    for (const table of tables) {
      const rules = await save(table);
      for (const rule of rules) if (names(rule, bridges)) await remove(table, rule);
      if (last) await removeDockerChains(table);
    }
    if (!last) return;
    const noted = await readFile(await policyFile(), "utf8").catch(() => undefined);
    if (noted !== undefined) await run("iptables", ["-w", "-P", "FORWARD", noted], { allowFailure: true });
    await rm(await policyFile(), { force: true });
  });
}

async function policyFile(): Promise<string> {
  return join(await machinePath(), "forward-policy");
}

async function anyDockerd(): Promise<boolean> {
  return (await allProcesses()).some(({ name, state }) => name === "dockerd" && state !== "Z");
}

async function save(table: string): Promise<string[]> {
  const { stdout } = await run("iptables-save", ["-t", table], { allowFailure: true });
  return stdout.split("\n");
}

function names(rule: string, bridges: readonly string[]): boolean {
  return rule.startsWith("-A ") && bridges.some((bridge) => rule.split(" ").includes(bridge));
}

async function remove(table: string, rule: string): Promise<void> {
  // iptables-save quotes what holds blanks; rules of Docker have at most a quoted comment.
  const words = [...rule.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
  await run("iptables", ["-w", "-t", table, "-D", ...words.slice(1)], { allowFailure: true });
}

async function removeDockerChains(table: string): Promise<void> {
  const chains = (await save(table)).flatMap((rule) => /^:(DOCKER[\w-]*) /.exec(rule)?.[1] ?? []);
  if (chains.length === 0) return;
  for (const rule of await save(table))
    if (rule.startsWith("-A ") && chains.some((chain) => rule.endsWith(`-j ${chain}`)))
      await remove(table, rule);
  for (const chain of chains) await run("iptables", ["-w", "-t", table, "-F", chain], { allowFailure: true });
  for (const chain of chains) await run("iptables", ["-w", "-t", table, "-X", chain], { allowFailure: true });
}
