import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sweepHosts } from "./hosts.js";
import { withLock } from "./lock.js";
import { labPath } from "./paths.js";
import { endProcess, isAlive, self, type ProcessRef } from "./processes.js";
import { say } from "./say.js";
import { removeTraces } from "./tidy.js";

/** What a folder of something running tells a later lab that finds it abandoned. */
interface Owner extends ProcessRef {
  readonly bridge: string | undefined;
}

/** A new folder for something running, and the word that makes its names unique on this machine. */
export interface RunFolder {
  readonly folder: string;
  /** Six hexadecimal digits. */
  readonly id: string;
}

/** Makes a folder that belongs to this process, and the bridge named after `bridgePrefix` with it. */
export async function claimRunFolder(name: string, bridgePrefix?: string): Promise<RunFolder> {
  const id = randomBytes(3).toString("hex");
  const folder = join(await labPath("run"), `${name}-${id}`);
  await mkdir(folder);
  const owner: Owner = { ...self, bridge: bridgePrefix === undefined ? undefined : `${bridgePrefix}${id}` };
  await writeFile(join(folder, "owner.json"), JSON.stringify(owner));
  return { folder, id };
}

/** Notes a process of the folder, so that it can be ended when this process can no longer do it. */
export async function noteProcess(folder: string, ref: ProcessRef): Promise<void> {
  await writeFile(join(folder, `process-${ref.pid}.json`), JSON.stringify(ref));
}

/** Ends and removes what labs have left whose process was killed, so that this one begins on a clean machine. */
export async function sweep(): Promise<void> {
  await withLock("sweep", async () => {
    await sweepHosts();
    const parent = await labPath("run");
    for (const entry of await readdir(parent)) {
      const folder = join(parent, entry);
      const owner = await readJson<Owner>(join(folder, "owner.json"));
      if (owner === undefined || isAlive(owner)) continue;
      say(`removing what an earlier run left of ${entry} …`);
      await abandon(folder, owner.bridge);
    }
  });
}

async function abandon(folder: string, bridge: string | undefined): Promise<void> {
  const files = bridge === undefined ? await readdir(folder) : [];
  for (const file of files) {
    const ref = /^process-\d+\.json$/.test(file) ? await readJson<ProcessRef>(join(folder, file)) : undefined;
    if (ref !== undefined) await endProcess(ref);
  }
  await removeTraces({ folder, ...(bridge === undefined ? {} : { bridge }) });
}

async function readJson<T>(path: string): Promise<T | undefined> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text === "" ? undefined : (JSON.parse(text) as T);
}
