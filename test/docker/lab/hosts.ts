import { open, readFile } from "node:fs/promises";
import { withLock } from "./lock.js";
import { isAlive, self } from "./processes.js";

const hostsFile = "/etc/hosts";
const marker = /\s# docker-cri-lab (\d+) (\d+) (\w+)$/;

/**
 * Has names resolve to a loopback address until `removeHosts`. Lines that a killed lab left go with it.
 * The file is written in place: where it is a bind mount it cannot be replaced.
 */
export async function addHosts(address: string, names: readonly string[], id: string): Promise<void> {
  const lines = names.map(
    (name) => `${address} ${name} # docker-cri-lab ${self.pid} ${self.startTicks} ${id}`,
  );
  await rewrite((kept) => [...kept, ...lines], id);
}

/** Takes back what `addHosts` wrote under this id. */
export async function removeHosts(id: string): Promise<void> {
  await rewrite((kept) => kept, id);
}

/** Takes back what labs wrote whose process was killed. */
export async function sweepHosts(): Promise<void> {
  await rewrite((kept) => kept, "");
}

async function rewrite(change: (kept: readonly string[]) => readonly string[], id: string): Promise<void> {
  await withLock("hosts", async () => {
    const text = await readFile(hostsFile, "utf8");
    const lines = text.split("\n");
    if (lines.at(-1) === "") lines.pop();
    const kept = lines.filter((line) => {
      const [, pid, startTicks, owner] = marker.exec(line) ?? [];
      if (owner === undefined) return true;
      return owner !== id && isAlive({ pid: Number(pid), startTicks: Number(startTicks) });
    });
    const changed = `${change(kept).join("\n")}\n`;
    if (changed !== text) await overwrite(changed);
  });
}

/** Never leaves the file empty, not even for a moment: a resolver that reads it then knows no name for seconds. */
async function overwrite(text: string): Promise<void> {
  const file = await open(hostsFile, "r+");
  try {
    const { bytesWritten } = await file.write(text, 0);
    await file.truncate(bytesWritten);
  } finally {
    await file.close();
  }
}
