import { codeOf, sleep } from "../../base/index.js";
import { isDead, readStatNow, type ProcessStat } from "./proc-stat.js";
import { listProcesses, type IsMeant, type ProcessList } from "./process-list.js";

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
  return killAll(({ living }, known) => newMembers(living, root, known));
}

/**
 * Kills the processes whose initial environment matches, and all descendants of these and of `root`, as
 * {@link killTree} does.
 * @param root A process that is killed as well.
 * @returns How many were killed.
 */
export function killWhere(isMeant: IsMeant, root?: number): Promise<number> {
  return killAll(({ living, matches }, known) => {
    const matching = matches.get(isMeant);
    const marked = living.filter(({ pid }) => matching?.has(pid) && !known.has(pid));
    const roots = new Map([...known, ...marked.map((each) => [each.pid, each] as const)]);
    return [...marked, ...newMembers(living, root, roots)];
  }, isMeant);
}

/** @param find Finds the members that are not in `known` yet. */
async function killAll(
  find: (list: ProcessList, known: ReadonlyMap<number, ProcessStat>) => ProcessStat[],
  isMeant?: IsMeant,
): Promise<number> {
  const tree = new Map<number, ProcessStat>();
  for (let round = 0; round < maxRounds; round++) {
    const found = find(await listProcesses(isMeant), tree);
    if (found.length === 0) break;
    for (const member of found) {
      tree.set(member.pid, member);
      send(member.pid, "SIGSTOP");
    }
  }
  const killed = [...tree.values()].filter((member) => isStill(member) && send(member.pid, "SIGKILL"));
  await untilDead(killed);
  return killed.length;
}

/** Waits until killed processes have ended: SIGKILL is asynchronous. */
async function untilDead(members: readonly ProcessStat[]): Promise<void> {
  const endMs = performance.now() + deathMs;
  for (const member of members) {
    while (isStill(member) && performance.now() < endMs) await sleep(5);
  }
}

/** The root and the living descendants of the root and of `known` that are not in `known` yet. */
function newMembers(
  all: readonly ProcessStat[],
  root: number | undefined,
  known: ReadonlyMap<number, ProcessStat>,
): ProcessStat[] {
  const children = new Map<number, ProcessStat[]>();
  for (const each of all) {
    const siblings = children.get(each.parent);
    if (siblings) siblings.push(each);
    else children.set(each.parent, [each]);
  }
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

/** False when the process has ended and its pid belongs to another one now. */
function isStill(member: ProcessStat): boolean {
  const now = readStatNow(member.pid);
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
