import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { bridges, removeLink } from "./bridge.js";
import { removeCgroups } from "./cgroups.js";
import { restoreFirewall } from "./iptables.js";
import { unmountBelow } from "./mounts.js";
import {
  allProcesses,
  commandLine,
  descendants,
  endProcess,
  signal,
  waitUntil,
  type ProcessInfo,
} from "./processes.js";

/** What a daemon's folder tells of what it has made on the machine. */
export interface DaemonTraces {
  /** Folder of everything that is the daemon's: socket, data-root, exec-root, log. */
  readonly folder: string;
  readonly bridge?: string;
}

/** The processes of a daemon that name its folder in their command line: dockerd, containerd, shims, proxies. */
async function daemonProcesses(folder: string): Promise<ProcessInfo[]> {
  const all = await allProcesses();
  const named = await Promise.all(
    all.map(async (each) => {
      if (!/^(dockerd|containerd|docker-proxy)/.test(each.name)) return false;
      return (await commandLine(each.pid)).some((word) => word.includes(`${folder}/`));
    }),
  );
  return all.filter((_, index) => named[index]);
}

/** The processes inside the daemon's containers: all that descends from its shims. */
async function containerProcesses(folder: string): Promise<ProcessInfo[]> {
  const shims = (await daemonProcesses(folder)).filter(({ name }) => name.startsWith("containerd-shim"));
  return descendants(
    await allProcesses(),
    shims.map(({ pid }) => pid),
  );
}

/** Kills what runs in the daemon's containers, without asking the daemon. */
export async function killContainerProcesses(folder: string): Promise<void> {
  for (const each of await containerProcesses(folder)) signal(each, "SIGKILL");
}

/** How many processes of the daemon and its containers are left. */
export async function countProcesses(folder: string): Promise<number> {
  return (await daemonProcesses(folder)).length + (await containerProcesses(folder)).length;
}

/**
 * Removes all that a daemon leaves on the machine once dockerd or containerd has ended, or was killed: shims,
 * container processes, mounts, control groups, bridges, firewall rules and its folder.
 */
export async function removeTraces({ folder, bridge }: DaemonTraces): Promise<void> {
  await waitUntil(async () => {
    await killContainerProcesses(folder);
    const rest = await daemonProcesses(folder);
    await Promise.all(
      rest.map((each) => endProcess(each, each.name.startsWith("containerd-shim") ? 0 : 3000)),
    );
    return (await countProcesses(folder)) === 0;
  }, 30_000);
  await unmountBelow(folder);
  const links = [...(bridge === undefined ? [] : [bridge]), ...(await networkBridges(folder))];
  for (const name of links) await removeLink(name);
  await restoreFirewall(links);
  await removeCgroups(await readdir(join(folder, "data", "containers")).catch(() => []));
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

/** The bridges of networks that were made by hand: by their addresses, or their ids in the network database. */
async function networkBridges(folder: string): Promise<string[]> {
  const database = await readFile(join(folder, "data", "network", "files", "local-kv.db"), "latin1").catch(
    () => "",
  );
  const config = await readFile(join(folder, "daemon.json"), "utf8").catch(() => "");
  const pool = /"base": "(\d+\.\d+\.\d+\.)/.exec(config)?.[1];
  return (await bridges()).flatMap(({ name, addresses }) => {
    const isOurs =
      database.includes(name.slice("br-".length)) ||
      (pool !== undefined && addresses.some((address) => address.startsWith(pool)));
    return name.startsWith("br-") && isOurs ? [name] : [];
  });
}
