import { randomUUID } from "node:crypto";
import { isKind, messageOf, ShimError, sleep, type Logger } from "../base/index.js";
import type { DockerExecState, DockerService } from "../docker/index.js";
import type { Host } from "../host/index.js";
import type { ExpectedEnd } from "../inventory/index.js";

/** How long one attempt waits for a starting exec to get a process. */
const startWaitMs = 3_000;
/** How long one attempt waits for Docker to record the exit. */
const exitWaitMs = 1_000;
const inspectDeadlineMs = 5_000;
/** Docker records the exit code shortly after the output has ended. */
const exitCodeWaitMs = 5_000;
/** How long to wait for the exit event before an inspect. */
const eventWaitMs = 20;
/** A shell's exit code for a missing command. */
const notFoundCode = 127;
const firstRetryMs = 500;
const maxRetryMs = 10_000;
/** An exec that has not started by then never starts. */
const startDeadlineMs = 60_000;

/** Environment variable that identifies an exec. Its child processes inherit it. */
const execVariable = "DOCKER_CRI_EXEC";

/** A unique mark for the environment of an exec, which identifies its processes even after their parent exits. */
export function newExecMark(): string {
  return `${execVariable}=${randomUUID()}`;
}

/** An exec to kill. */
export interface EndingExec {
  readonly id: string;
  readonly containerId: string;
  /** From {@link newExecMark}. */
  readonly mark: string;
}

export interface ExecContext {
  readonly docker: DockerService;
  readonly host: Host;
  readonly log: Logger;
  /** Stops the retries. */
  readonly closed: AbortSignal;
}

/**
 * Kills the process of an exec and all its descendants, including those that were reparented or started a new session.
 * Docker's API has no call for it, and an exec without a client runs on. Waits for a start in progress, and retries in the
 * background after a failed first attempt. Never throws.
 * @param onGone Called once, when all processes are gone. Must not throw.
 * @returns The result of the first attempt: undefined if all processes are gone, else the reason.
 */
export async function killExec(
  exec: EndingExec,
  context: ExecContext,
  onGone: () => Promise<void> | void = () => undefined,
): Promise<string | undefined> {
  const left = await attempt(exec, context);
  if (left === undefined) {
    await onGone();
    return undefined;
  }
  context.log.warn({ exec: exec.id, left }, "could not kill an abandoned command: retrying");
  void keepKilling(exec, context, onGone);
  return left;
}

async function keepKilling(
  exec: EndingExec,
  context: ExecContext,
  onGone: () => Promise<void> | void,
): Promise<void> {
  const { log, closed } = context;
  const startedAtMs = performance.now();
  for (let waitMs = firstRetryMs; ; waitMs = Math.min(waitMs * 2, maxRetryMs)) {
    await sleep(waitMs, closed).catch(() => undefined);
    if (closed.aborted) return;
    const left = await attempt(exec, context);
    const neverStarted = left === notStarted && performance.now() - startedAtMs > startDeadlineMs;
    if (left !== undefined && !neverStarted) continue;
    log.info({ exec: exec.id }, "an abandoned command has ended");
    await onGone();
    return;
  }
}

const notStarted = "Docker has not started it yet";

/** Kills once. @returns Why processes remain; undefined if none do. */
async function attempt(exec: EndingExec, { docker, host, log }: ExecContext): Promise<string | undefined> {
  const [variable = "", value] = exec.mark.split("=");
  const isMarked = (environment: ReadonlyMap<string, string>) => environment.get(variable) === value;
  try {
    const { running, pid } = await whenStarted(exec.id, docker);
    let killed = await host.processes.killWhere(isMarked);
    // A program may have overwritten its environment.
    if (running && pid && (await isInCgroupOf(exec.containerId, pid, host)))
      killed += await host.processes.killTree(pid);
    if (killed > 0) log.info({ exec: exec.id, pid, killed }, "killed an abandoned command");
    if (killed > 0 && (await host.processes.killWhere(isMarked)) > 0) return "a process survives SIGKILL";
    const state = await whenExited(exec.id, docker);
    if (state.running) return `Docker shows it as running${state.pid ? `, process ${state.pid}` : ""}`;
    return state.exitCode === undefined ? notStarted : undefined;
  } catch (error) {
    // Removed with its container.
    if (isKind(error, "not-found")) return undefined;
    // The mark finds processes without Docker.
    await host.processes.killWhere(isMarked).catch(() => 0);
    return messageOf(error);
  }
}

/** Whether a process is in a container's cgroup. Guards against reused pids and a remote Docker. */
async function isInCgroupOf(containerId: string, pid: number, { files }: Host): Promise<boolean> {
  const text = await files.read(`/proc/${pid}/cgroup`).catch(() => Buffer.of());
  return text.toString("latin1").includes(containerId);
}

/** Waits until Docker has recorded the exit, within bounds. */
async function whenExited(execId: string, docker: DockerService): Promise<DockerExecState> {
  const until = performance.now() + exitWaitMs;
  for (let waitMs = 10; ; waitMs *= 2) {
    const state = await docker.execs.inspect(execId, { deadlineMs: inspectDeadlineMs });
    if (!state.running || performance.now() > until) return state;
    await sleep(waitMs);
  }
}

/** Waits until the exec has a process or has exited, within bounds. */
async function whenStarted(execId: string, docker: DockerService): Promise<DockerExecState> {
  const until = performance.now() + startWaitMs;
  for (let waitMs = 10; ; waitMs = Math.min(waitMs * 2, 250)) {
    const state = await docker.execs.inspect(execId, { deadlineMs: inspectDeadlineMs });
    const started = state.running ? Boolean(state.pid) : state.exitCode !== undefined;
    if (started || performance.now() > until) return state;
    await sleep(waitMs);
  }
}

/**
 * The exit code of an exec whose output has ended: from Docker's event, which saves a call, or from an inspect if no event
 * arrives.
 */
export async function execExitCode(
  docker: DockerService,
  execId: string,
  end: ExpectedEnd,
  signal?: AbortSignal,
): Promise<number> {
  const until = Date.now() + exitCodeWaitMs;
  for (let waitMs = eventWaitMs; ; waitMs = Math.min(waitMs * 2, 250)) {
    const fromEvent = await Promise.race([end.exitCode, sleep(waitMs, signal)]);
    if (fromEvent !== undefined) return fromEvent;
    const state = await docker.execs.inspect(execId, { signal });
    if (!state.running && state.exitCode !== undefined) return state.exitCode;
    if (Date.now() > until) {
      throw new ShimError("internal", `the command ended, but Docker reports no exit code`);
    }
  }
}

/**
 * The result of a command that cannot be run. Some engines report it as output, others as an error of the start.
 * @throws `error` itself, if it has another cause.
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
