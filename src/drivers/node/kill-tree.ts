import { readdir } from "node:fs/promises";
import { codeOf, sleep } from "../../base/index.js";
import { isDead, readEnvironment, readStat, type ProcessStat } from "./proc-stat.js";

/** More rounds than a tree of stopped processes can need; a limit against endless loops. */
const maxRounds = 20;

/** How long to wait until the killed processes have ended; one in an uninterruptible sleep does not end. */
const deathMs = 2_000;

/**
 * Kills a process and its descendants. All are stopped first, in rounds until there is no new child: a stopped process
 * cannot fork, so none escapes between the listing and the kill. Waits until they have ended.
 * @returns How many were killed.
 */
export function killTree(root: number): Promise<number> {
  return killAll((known) => newMembers(root, known));
}

/**
 * Kills the processes whose initial environment matches, and all descendants of these and of `root`, as
 * {@link killTree} does.
 * @param root A process that is killed as well.
 * @returns How many were killed.
 */
export function killWhere(
  isMeant: (environment: ReadonlyMap<string, string>) => boolean,
  root?: number,
): Promise<number> {
  return killAll(async (known) => {
    const marked = await newMarked(isMeant, known);
    const roots = new Map([...known, ...marked.map((each) => [each.pid, each] as const)]);
    return [...marked, ...(await newMembers(root, roots))];
  });
}

/** @param find Finds the living members that are not in `known` yet. */
async function killAll(
  find: (known: ReadonlyMap<number, ProcessStat>) => Promise<ProcessStat[]>,
): Promise<number> {
  const tree = new Map<number, ProcessStat>();
  for (let round = 0; round < maxRounds; round++) {
    const found = await find(tree);
    if (found.length === 0) break;
    for (const member of found) {
      tree.set(member.pid, member);
      send(member.pid, "SIGSTOP");
    }
  }
  const killed: ProcessStat[] = [];
  for (const member of tree.values()) {
    if ((await isStill(member)) && send(member.pid, "SIGKILL")) killed.push(member);
  }
  await untilDead(killed);
  return killed.length;
}

/** Waits until killed processes have ended: SIGKILL is asynchronous. */
async function untilDead(members: readonly ProcessStat[]): Promise<void> {
  const endMs = performance.now() + deathMs;
  for (const member of members) {
    while ((await isStill(member)) && performance.now() < endMs) await sleep(5);
  }
}

/** The living processes with a matching environment that are not in `known` yet. */
async function newMarked(
  isMeant: (environment: ReadonlyMap<string, string>) => boolean,
  known: ReadonlyMap<number, ProcessStat>,
): Promise<ProcessStat[]> {
  const others = (await livingProcesses()).filter(({ pid }) => pid !== process.pid && !known.has(pid));
  const environments = await Promise.all(others.map(({ pid }) => readEnvironment(pid)));
  return others.filter((_, index) => {
    const environment = environments[index];
    return environment !== undefined && isMeant(environment);
  });
}

/** The root and the living descendants of the root and of `known` that are not in `known` yet. */
async function newMembers(
  root: number | undefined,
  known: ReadonlyMap<number, ProcessStat>,
): Promise<ProcessStat[]> {
  const all = await livingProcesses();
  const children = new Map<number, ProcessStat[]>();
  for (const each of all) children.set(each.parent, [...(children.get(each.parent) ?? []), each]);
  const found: ProcessStat[] = [];
  const waiting = all.filter(({ pid }) => pid === root || known.has(pid));
  const seen = new Set<number>(waiting.map(({ pid }) => pid));
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    if (!known.has(next.pid)) found.push(next);
    for (const child of children.get(next.pid) ?? []) {
      if (seen.has(child.pid) || child.pid === process.pid) continue;
      seen.add(child.pid);
      waiting.push(child);
    }
  }
  return found;
}

async function livingProcesses(): Promise<ProcessStat[]> {
  const names = await readdir("/proc");
  const stats = await Promise.all(
    names.filter((name) => /^\d+$/.test(name)).map((name) => readStat(Number(name))),
  );
  return stats.filter((stat) => stat !== undefined).filter((stat) => !isDead(stat));
}

/** False when the process has ended and its pid belongs to another one now. */
async function isStill(member: ProcessStat): Promise<boolean> {
  const now = await readStat(member.pid);
  return now !== undefined && now.startTicks === member.startTicks && !isDead(now);
}

/** False when the process has ended or may not be killed: the rest of the tree must be killed anyway. */
function send(pid: number, signal: "SIGSTOP" | "SIGKILL"): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (["ESRCH", "EPERM"].includes(codeOf(error) ?? "")) return false;
    throw error;
  }
}
