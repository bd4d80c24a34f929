import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Lab } from "./lab.js";
import { allProcesses } from "./processes.js";

const program = "/lib/systemd/systemd-journald";
const runtimeFolders = ["/run/systemd/journal", "/run/log/journal"];
const socket = "/run/systemd/journal/socket";

/** True where there is a systemd-journald that can be started, or runs. */
export const hasJournald = existsSync(program);

/** Has a journal kept on this machine until the lab closes, also where systemd does not run. */
export async function keepJournal(lab: Lab): Promise<void> {
  if ((await allProcesses()).some(({ name }) => name === "systemd-journal")) return;
  const made = runtimeFolders.filter((folder) => !existsSync(folder));
  lab.defer("the journal", async () => {
    for (const folder of made) await rm(folder, { recursive: true, force: true });
  });
  // One that was killed has left its sockets behind.
  await rm(socket, { force: true });
  await lab.service({ name: "journald", command: program, args: [], ready: () => existsSync(socket) });
}
