import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { machinePath } from "./paths.js";
import { isAlive, self, waitUntil, type ProcessRef } from "./processes.js";
import { say } from "./say.js";

/**
 * Runs `work` while no other process of this machine runs work under the same name. A lock whose
 * owner has died is taken over.
 * @throws Error when the lock is not to be had within `timeoutMs` (default twenty minutes).
 */
export async function withLock<T>(name: string, work: () => Promise<T>, timeoutMs = 1_200_000): Promise<T> {
  const path = join(await machinePath("locks"), name);
  let waits = false;
  const taken = await waitUntil(
    async () => {
      if (await take(path)) return true;
      if (!waits)
        setTimeout(() => {
          if (waits) say(`waiting for another process that holds "${name}" …`);
        }, 3000).unref();
      waits = true;
      return false;
    },
    timeoutMs,
    100,
  );
  waits = false;
  if (!taken) throw new Error(`the lab's lock ${path} stays taken: end its owner, or remove the file`);
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function take(path: string): Promise<boolean> {
  try {
    await writeFile(path, JSON.stringify(self), { flag: "wx" });
    return true;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  const text = await readFile(path, "utf8").catch(() => "");
  // Empty: its owner is about to write its name.
  if (text !== "" && !isAlive(JSON.parse(text) as ProcessRef)) await rm(path, { force: true });
  return false;
}
