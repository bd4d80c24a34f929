import { randomUUID } from "node:crypto";
import { isKind, messageOf, ShimError, sleep, type Logger } from "../base/index.js";
import type { DockerExecState, DockerService } from "../docker/index.js";
import type { Host } from "../host/index.js";
import type { ExpectedEnd } from "../inventory/index.js";

/** How long an exec that was asked to start may take to show its process. */
const birthMs = 3_000;
/** Docker notes an end a moment later. */
const noteMs = 1_000;
const lookDeadlineMs = 5_000;
/** Docker notes the end of an exec a moment after its output has ended. */
const exitCodeWaitMs = 5_000;
/** How long its event may take before Docker is asked. */
const eventWaitMs = 20;
/** A shell's code for a command that is not there. */
const notFoundCode = 127;
const firstRetryMs = 500;
const slowestRetryMs = 10_000;
/** One that Docker has not started by then never starts. */
const longestBirthMs = 60_000;

/** Names one exec in the environment of its command and of all that this starts. */
const execVariable = "DOCKER_CRI_EXEC";

/** A new mark for an exec, by which its processes are found whatever becomes of their parents. */
export function newExecMark(): string {
  return `${execVariable}=${randomUUID()}`;
}

/** An exec that is to end. */
export interface EndingExec {
  readonly id: string;
  readonly containerId: string;
  /** Of {@link newExecMark}, in its environment. */
  readonly mark: string;
}

export interface ExecContext {
  readonly docker: DockerService;
  readonly host: Host;
  readonly log: Logger;
  /** Ends the further attempts. */
  readonly closed: AbortSignal;
}

/**
 * Kills an exec's process and all that it has started, also what has made a session of its own and outlived its parent:
 * Docker has no call for it, and an exec that nobody listens to runs on for ever. A start that is still in flight is
 * waited for. What is left after the first attempt is tried again until it is gone. Never throws.
 * @returns After the first attempt: undefined when all are gone, else why not.
 */
export async function killExec(exec: EndingExec, context: ExecContext): Promise<string | undefined> {
  const left = await attempt(exec, context);
  if (left === undefined) return undefined;
  context.log.warn(
    { exec: exec.id, left },
    "could not kill a command that nobody waits for: it is tried again",
  );
  void keepKilling(exec, context);
  return left;
}

async function keepKilling(exec: EndingExec, context: ExecContext): Promise<void> {
  const { log, closed } = context;
  const begun = performance.now();
  for (let waitMs = firstRetryMs; ; waitMs = Math.min(waitMs * 2, slowestRetryMs)) {
    await sleep(waitMs, closed).catch(() => undefined);
    if (closed.aborted) return;
    const left = await attempt(exec, context);
    const unborn = left === notStarted && performance.now() - begun > longestBirthMs;
    if (left !== undefined && !unborn) continue;
    log.info({ exec: exec.id }, "a command that nobody waits for is gone");
    return;
  }
}

const notStarted = "Docker has not started it yet";

/** Kills once. @returns Why something is left; undefined when nothing is. */
async function attempt(exec: EndingExec, { docker, host, log }: ExecContext): Promise<string | undefined> {
  const [variable = "", value] = exec.mark.split("=");
  const isMeant = (environment: ReadonlyMap<string, string>) => environment.get(variable) === value;
  try {
    const { running, pid } = await born(exec.id, docker);
    let killed = await host.processes.killWhere(isMeant);
    // A program may have written over its environment.
    if (running && pid && (await isIn(exec.containerId, pid, host)))
      killed += await host.processes.killTree(pid);
    if (killed > 0) log.info({ exec: exec.id, pid, killed }, "killed a command that nobody waits for");
    if (killed > 0 && (await host.processes.killWhere(isMeant)) > 0)
      return "a process of it outlives SIGKILL";
    const state = await ended(exec.id, docker);
    if (state.running) return `Docker shows it as running${state.pid ? `, process ${state.pid}` : ""}`;
    return state.exitCode === undefined ? notStarted : undefined;
  } catch (error) {
    // With its container.
    if (isKind(error, "not-found")) return undefined;
    return messageOf(error);
  }
}

/** Whether a process is in a container's cgroup: another machine's process, or a later one, is not. */
async function isIn(containerId: string, pid: number, { files }: Host): Promise<boolean> {
  const text = await files.read(`/proc/${pid}/cgroup`).catch(() => Buffer.of());
  return text.toString("latin1").includes(containerId);
}

/** The exec once Docker has noted its end, or has had its time to. */
async function ended(execId: string, docker: DockerService): Promise<DockerExecState> {
  const until = performance.now() + noteMs;
  for (let waitMs = 10; ; waitMs *= 2) {
    const state = await docker.execs.inspect(execId, { deadlineMs: lookDeadlineMs });
    if (!state.running || performance.now() > until) return state;
    await sleep(waitMs);
  }
}

/** The exec once it has a process, or has ended, or shows after a while that it will not start. */
async function born(execId: string, docker: DockerService): Promise<DockerExecState> {
  const until = performance.now() + birthMs;
  for (let waitMs = 10; ; waitMs = Math.min(waitMs * 2, 250)) {
    const state = await docker.execs.inspect(execId, { deadlineMs: lookDeadlineMs });
    const unborn = state.running ? !state.pid : state.exitCode === undefined;
    if (!unborn || performance.now() > until) return state;
    await sleep(waitMs);
  }
}

/**
 * The exit code of an exec whose output has ended: from Docker's event, which saves a call; from Docker itself where
 * none comes.
 */
export async function execExitCode(
  docker: DockerService,
  execId: string,
  end: ExpectedEnd,
  signal?: AbortSignal,
): Promise<number> {
  const until = Date.now() + exitCodeWaitMs;
  for (let waitMs = eventWaitMs; ; waitMs = Math.min(waitMs * 2, 250)) {
    const told = await Promise.race([end.exitCode, sleep(waitMs, signal)]);
    if (told !== undefined) return told;
    const state = await docker.execs.inspect(execId, { signal });
    if (!state.running && state.exitCode !== undefined) return state.exitCode;
    if (Date.now() > until) {
      throw new ShimError("internal", `the command closed its output but Docker does not tell its exit code`);
    }
  }
}

/**
 * What to answer for a command that cannot be run. Engines differ: one tells of it as output, another as an error of
 * the start.
 * @throws `error` itself, when it is another one.
 */
export async function cannotRun(
  error: unknown,
  execId: string,
  docker: DockerService,
  signal?: AbortSignal,
): Promise<{ readonly stderr: Uint8Array; readonly exitCode: number }> {
  if (!isKind(error, "invalid-argument")) throw error;
  const state = await docker.execs.inspect(execId, { signal });
  const code = state.exitCode === 126 || state.exitCode === 127 ? state.exitCode : notFoundCode;
  return { stderr: Buffer.from(`${error.message}\n`), exitCode: code };
}
