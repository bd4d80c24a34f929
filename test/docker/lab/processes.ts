import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { open, readdir, readFile } from "node:fs/promises";

/** A process that keeps its meaning when the kernel gives its id to another one. */
export interface ProcessRef {
  readonly pid: number;
  /** Clock ticks after boot at which it began: with the pid, unique until the next boot. */
  readonly startTicks: number;
}

/** What a process is and what it has used, from /proc. */
export interface ProcessInfo extends ProcessRef {
  readonly parentPid: number;
  readonly state: string;
  readonly name: string;
  readonly cpuTicks: number;
}

/** Clock ticks in a second of /proc's CPU figures: USER_HZ, 100 on every Linux that Node runs on. */
export const ticksPerSecond = 100;

/** Reads one process, or undefined when there is none of that id. */
export function processInfo(pid: number): ProcessInfo | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The name is in parentheses and may hold spaces and parentheses itself.
  const end = text.lastIndexOf(")");
  const rest = text.slice(end + 2).split(" ");
  return {
    pid,
    name: text.slice(text.indexOf("(") + 1, end),
    state: rest[0] ?? "?",
    parentPid: Number(rest[1]),
    cpuTicks: Number(rest[11]) + Number(rest[12]),
    startTicks: Number(rest[19]),
  };
}

/** Seconds of CPU that the threads of a process have used which it has now, 0 when it is gone. */
export function threadsCpuSeconds(pid: number): number {
  const folder = `/proc/${pid}/task`;
  const nanosOf = (thread: string) => Number(readNow(`${folder}/${thread}/schedstat`).split(" ")[0]);
  const threads = existsSync(folder) ? readdirSync(folder) : [];
  return threads.reduce((sum, thread) => sum + nanosOf(thread), 0) / 1e9;
}

/** Empty for what has ended in between. */
function readNow(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** All processes of the machine. */
export async function allProcesses(): Promise<ProcessInfo[]> {
  const names = await readdir("/proc");
  return names.flatMap((name) => (/^\d+$/.test(name) ? (processInfo(Number(name)) ?? []) : []));
}

/** The processes whose chain of parents leads to one of `roots`; the roots are not among them. */
export function descendants(all: readonly ProcessInfo[], roots: readonly number[]): ProcessInfo[] {
  const children = new Map<number, ProcessInfo[]>();
  for (const each of all) children.set(each.parentPid, [...(children.get(each.parentPid) ?? []), each]);
  const found: ProcessInfo[] = [];
  const unseen = [...roots];
  for (let pid = unseen.pop(); pid !== undefined; pid = unseen.pop()) {
    for (const child of children.get(pid) ?? []) {
      found.push(child);
      unseen.push(child.pid);
    }
  }
  return found;
}

/** A process's command line, empty when it is gone or a kernel thread. */
export async function commandLine(pid: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return text.split("\0").slice(0, -1);
}

/** Resident memory in bytes, 0 when the process is gone. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Whether the process is still there and is no zombie. */
export function isAlive(ref: ProcessRef): boolean {
  const info = processInfo(ref.pid);
  return info?.startTicks === ref.startTicks && info.state !== "Z" && info.state !== "X";
}

/** Sends a signal to exactly this process; one that is gone, or whose id went to another, is let be. */
export function signal(ref: ProcessRef, name: NodeJS.Signals): void {
  if (!isAlive(ref)) return;
  try {
    process.kill(ref.pid, name);
  } catch {
    // It ended in between.
  }
}

/** Waits until the process is gone; answers false when it still is there after `timeoutMs`. */
export async function waitForExit(ref: ProcessRef, timeoutMs: number): Promise<boolean> {
  return await waitUntil(() => !isAlive(ref), timeoutMs, 20);
}

/** Asks the process to end, and kills it when it has not done so within `graceMs`. */
export async function endProcess(ref: ProcessRef, graceMs = 10_000): Promise<void> {
  signal(ref, "SIGCONT");
  signal(ref, "SIGTERM");
  if (await waitForExit(ref, graceMs)) return;
  signal(ref, "SIGKILL");
  await waitForExit(ref, 10_000);
}

/** Repeats a check until it holds; answers whether it did within `timeoutMs`. Errors of the check pass. */
export async function waitUntil(
  check: () => boolean | Promise<boolean>,
  timeoutMs: number,
  everyMs = 50,
): Promise<boolean> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    if (await check()) return true;
    if (Date.now() >= end) return false;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** A daemon started by the lab. */
export interface Daemon extends ProcessRef {
  readonly logPath: string;
}

/** How to start a daemon. */
export interface DaemonOptions {
  readonly logPath: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/**
 * Starts a daemon in a session of its own, so that a Ctrl-C at the terminal reaches the lab first.
 * Both its outputs go to the log file.
 * @throws Error when the program cannot be started.
 */
export async function startDaemon(
  command: string,
  args: readonly string[],
  options: DaemonOptions,
): Promise<Daemon> {
  const log = await open(options.logPath, "a");
  try {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    });
    await new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
    child.unref();
    const info = child.pid === undefined ? undefined : processInfo(child.pid);
    if (info === undefined) throw new Error(`${command} ended at once: see ${options.logPath}`);
    return { pid: info.pid, startTicks: info.startTicks, logPath: options.logPath };
  } finally {
    await log.close();
  }
}

/** The last lines of a daemon's log, for an error message. */
export async function logTail(path: string, lines = 15): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

/** This process. */
export const self: ProcessRef = { pid: process.pid, startTicks: processInfo(process.pid)?.startTicks ?? 0 };
