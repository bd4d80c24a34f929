import { readdir } from "node:fs/promises";
import { setImmediate as turn } from "node:timers/promises";
import { isDead, readEnvironmentNow, readStatNow, type ProcessStat } from "./proc-stat.js";

/** How many processes are read in one turn of the event loop, which takes about a millisecond. */
const processesPerTurn = 20;

/** Whether a process is meant, by its initial environment. */
export type IsMeant = (environment: ReadonlyMap<string, string>) => boolean;

/** The living processes of the node. */
export interface ProcessList {
  readonly living: readonly ProcessStat[];
  /** The pids of the processes that each filter matches. */
  readonly matches: ReadonlyMap<IsMeant, ReadonlySet<number>>;
}

interface Pending {
  readonly filters: Set<IsMeant>;
  readonly list: Promise<ProcessList>;
}

let pending: Pending | undefined;
let running: Promise<unknown> = Promise.resolve();

/**
 * Lists the living processes, each read after this call. Calls that wait at the same time share one list, and there is
 * one at a time: a node may have thousands of processes, and hundreds of commands may lose their clients at once.
 * @param isMeant A filter that the list shall have matches of.
 */
export function listProcesses(isMeant?: IsMeant): Promise<ProcessList> {
  pending ??= enqueue();
  if (isMeant) pending.filters.add(isMeant);
  return pending.list;
}

function enqueue(): Pending {
  const filters = new Set<IsMeant>();
  const list = running.then(() => {
    pending = undefined;
    return read(filters);
  });
  running = list.catch(() => undefined);
  return { filters, list };
}

/** Reads in the main thread: in the thread pool, file by file, it takes ten times as long and keeps other calls waiting. */
async function read(filters: ReadonlySet<IsMeant>): Promise<ProcessList> {
  const living: ProcessStat[] = [];
  const matches = new Map([...filters].map((filter) => [filter, new Set<number>()]));
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  for (const [index, pid] of pids.entries()) {
    if (index > 0 && index % processesPerTurn === 0) await turn();
    const stat = readStatNow(pid);
    if (!stat || isDead(stat)) continue;
    living.push(stat);
    const environment = matches.size > 0 && pid !== process.pid ? readEnvironmentNow(pid) : undefined;
    if (!environment) continue;
    for (const [isMeant, found] of matches) if (isMeant(environment)) found.add(pid);
  }
  return { living, matches };
}
