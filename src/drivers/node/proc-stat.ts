import { readFileSync } from "node:fs";
import { codeOf } from "../../base/index.js";

/** The fields of /proc/PID/stat. */
export interface ProcessStat {
  readonly pid: number;
  /** One letter: `Z` is a zombie, `X` is dead. */
  readonly state: string;
  readonly parent: number;
  /** In clock ticks since boot. With the pid it identifies a process uniquely. */
  readonly startTicks: string;
}

/**
 * Reads /proc/PID/stat, in some 20 microseconds; undefined when there is no such process.
 * @see proc(5), /proc/PID/stat
 */
export function readStatNow(pid: number): ProcessStat | undefined {
  try {
    return parseStat(pid, readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** ESRCH: the process ended between open and read. */
function isGone(error: unknown): boolean {
  return ["ENOENT", "ESRCH"].includes(codeOf(error) ?? "");
}

/** A process chooses its name, which may have spaces and brackets: the fields begin after the last bracket. */
export function parseStat(pid: number, text: string): ProcessStat | undefined {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, parent] = fields;
  const startTicks = fields[19];
  if (state === undefined || parent === undefined || startTicks === undefined) return undefined;
  return { pid, state, parent: Number(parent), startTicks };
}

export function isDead(stat: ProcessStat): boolean {
  return stat.state === "Z" || stat.state === "X" || stat.state === "x";
}

/**
 * Reads the initial environment of a process; undefined when it has ended or may not be inspected.
 * @see proc(5), /proc/PID/environ
 */
export function readEnvironmentNow(pid: number): Map<string, string> | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
  const entries = text.split("\0").filter((entry) => entry.includes("="));
  return new Map(
    entries.map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
}
