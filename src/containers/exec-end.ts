import { messageOf, sleep, type Logger } from "../base/index.js";
import type { DockerExecState, DockerService } from "../docker/index.js";
import type { Host } from "../host/index.js";

/** How long an exec that was asked to start may take to show its process. */
const birthMs = 3_000;
const lookDeadlineMs = 5_000;

export interface ExecContext {
  readonly docker: DockerService;
  readonly host: Host;
  readonly log: Logger;
}

/**
 * Kills an exec's process and its children on the host: Docker has no call for it, and an exec that nobody
 * listens to runs on for ever. A start that is still in flight is waited for. Never throws: what could not be
 * done is said in the log.
 */
export async function killExec(execId: string, { docker, host, log }: ExecContext): Promise<void> {
  try {
    const state = await born(execId, docker);
    if (!state.running || !state.pid) return;
    const killed = await host.processes.killTree(state.pid);
    log.info({ exec: execId, pid: state.pid, killed }, "killed a command that nobody waits for");
  } catch (error) {
    log.warn({ exec: execId, err: messageOf(error) }, "could not kill a command that nobody waits for");
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
