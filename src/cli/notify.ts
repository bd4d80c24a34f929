import { execFile } from "node:child_process";
import { messageOf, type Logger } from "../base/index.js";
import type { Environment } from "../config/index.js";

/** How long systemd-notify may take; systemd waits far longer for a start. */
const notifyMs = 5_000;

/**
 * Notifies systemd of the service's state when NOTIFY_SOCKET is set. Node has no Unix datagram sockets:
 * systemd's own tool sends the message, in this process's name. A failure is logged.
 * @param states Such as `READY=1`.
 * @see sd_notify(3), systemd-notify(1)
 */
export async function notifySystemd(
  states: readonly string[],
  environment: Environment,
  log: Logger,
): Promise<void> {
  const { NOTIFY_SOCKET, PATH } = environment;
  if (!NOTIFY_SOCKET) return;
  const failure = await run([...states], { NOTIFY_SOCKET, PATH });
  if (failure !== undefined)
    log.warn(
      { states, failure },
      "could not notify systemd: add systemd-notify to PATH, or set Type=exec in the unit",
    );
}

function run(states: string[], env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile("systemd-notify", states, { env, timeout: notifyMs, killSignal: "SIGKILL" }, (error) => {
      resolve(error ? messageOf(error) : undefined);
    });
  });
}
