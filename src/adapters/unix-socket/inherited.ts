import { ShimError } from "../../base/index.js";
import { processEnvironment, type Environment } from "../../config/index.js";

/** The first descriptor that systemd passes, after stdin, stdout and stderr. */
const firstFd = 3;

/**
 * The listening socket that systemd has made for this process.
 * @returns Its file descriptor.
 * @throws ShimError "failed-precondition" when systemd passed none, or more than one.
 * @see sd_listen_fds(3)
 */
export function inheritedSocketFd(environment: Environment = processEnvironment()): number {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = environment;
  if (count === undefined || pid !== String(process.pid)) {
    throw new ShimError(
      "failed-precondition",
      "fd:// needs a socket from systemd, and none was passed to this process: start it from its .socket unit, or use unix:///path",
    );
  }
  if (count !== "1") {
    throw new ShimError(
      "failed-precondition",
      `systemd passed ${count} sockets, but only one is supported: keep one Listen line in the .socket unit`,
    );
  }
  return firstFd;
}
