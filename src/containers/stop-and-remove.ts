import { isKind, ShimError, sleep } from "../base/index.js";
import type { DockerService } from "../docker/index.js";

/** How long Docker may take beyond the grace period to stop a container. */
const stopMarginMs = 30_000;
/** How long to wait for a concurrent removal. */
const removalPatienceMs = 30_000;
const maxRetryDelayMs = 500;

/**
 * Stops a container with its stop signal, and SIGKILL after the grace period. Succeeds if it exits otherwise or is missing.
 * A cancelled call also cancels the request to Docker, so a retry starts a new one.
 * @param options.marginMs The time allowed after the grace period. Default: 30 s.
 * @throws ShimError "deadline-exceeded" when the process survives SIGKILL or Docker does not respond; "cancelled".
 */
export async function stopContainer(
  docker: DockerService,
  id: string,
  options: { readonly graceSeconds: number; readonly signal: AbortSignal; readonly marginMs?: number },
): Promise<void> {
  const { graceSeconds, signal, marginMs = stopMarginMs } = options;
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
 * Removes a container, running or not. Waits for a concurrent removal. Succeeds if the container is missing.
 * @throws ShimError "conflict" when a concurrent removal does not finish within `patienceMs`.
 */
export async function removeContainer(
  docker: DockerService,
  id: string,
  patienceMs = removalPatienceMs,
): Promise<void> {
  const until = performance.now() + patienceMs;
  for (let waitMs = 10; ; waitMs = Math.min(waitMs * 2, maxRetryDelayMs)) {
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
      "process survives SIGKILL, or Docker hangs; look for a process in state D and at Docker's log",
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
