import { isKind, ShimError, sleep } from "../base/index.js";
import type { DockerService } from "../docker/index.js";

/** What Docker needs beyond the grace period to report a container as stopped. */
const stopMarginMs = 30_000;
/** How long a removal by somebody else may take before ours is given up. */
const removalPatienceMs = 30_000;
const slowestLookMs = 500;

export interface StopOptions {
  readonly graceSeconds: number;
  readonly signal: AbortSignal;
  /** What may pass after the grace period, in milliseconds; 30 s by default. */
  readonly marginMs?: number;
}

/**
 * Stops a container: its stop signal, and SIGKILL after the grace period. One that ends meanwhile in another
 * way, or is gone, is a success. The request to Docker ends with the call, so a retry starts afresh.
 * @throws ShimError "deadline-exceeded" when the process outlives SIGKILL or Docker does not answer; "cancelled".
 */
export async function stopContainer(
  docker: DockerService,
  id: string,
  { graceSeconds, signal, marginMs = stopMarginMs }: StopOptions,
): Promise<void> {
  const grace = Math.max(0, graceSeconds);
  try {
    await docker.containers.stop(id, { graceSeconds: grace, deadlineMs: grace * 1000 + marginMs, signal });
  } catch (error) {
    if (isKind(error, "not-found")) return;
    if (isKind(error, "deadline-exceeded") && !signal.aborted) throw outlived(id, grace, marginMs, error);
    if (isKind(error, "cancelled", "unavailable", "deadline-exceeded")) throw error;
    if (await isRunning(docker, id)) throw error;
  }
}

/**
 * Removes a container, running or not; one that is gone is a success. A removal that is under way already is
 * waited for.
 * @throws ShimError "conflict" when a removal by somebody else comes to no end within `patienceMs`.
 */
export async function removeContainer(
  docker: DockerService,
  id: string,
  patienceMs = removalPatienceMs,
): Promise<void> {
  const until = performance.now() + patienceMs;
  for (let waitMs = 10; ; waitMs = Math.min(waitMs * 2, slowestLookMs)) {
    try {
      await docker.containers.remove(id, { force: true });
      return;
    } catch (error) {
      if (isKind(error, "not-found")) return;
      if (!isKind(error, "conflict") || performance.now() > until) throw error;
    }
    await sleep(waitMs);
  }
}

function outlived(id: string, graceSeconds: number, marginMs: number, cause: ShimError): ShimError {
  return new ShimError(
    "deadline-exceeded",
    `container ${id} has not stopped ${marginMs / 1000} s after its grace period of ${graceSeconds} s: its ` +
      "process outlives SIGKILL, or Docker hangs; look for a process in state D and at Docker's log",
    { operation: "StopContainer", cause },
  );
}

async function isRunning(docker: DockerService, id: string): Promise<boolean> {
  try {
    return (await docker.containers.inspect(id)).state.running;
  } catch (error) {
    if (isKind(error, "not-found")) return false;
    throw error;
  }
}
