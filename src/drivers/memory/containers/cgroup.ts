import type { MemoryEngine } from "../engine.js";
import type { Container } from "./container.js";
import type { ContainerFigures } from "./figures.js";

const mountPoint = "/sys/fs/cgroup";
const device = "8:0";

/** Creates the cgroup v2 files of a started container, and those of its pod, on the node. */
export function showCgroup(engine: MemoryEngine, container: Container): void {
  const { tree } = engine.host;
  const { run } = container;
  if (!run) return;
  const parent = parentOf(engine, container);
  const path = pathOf(engine, container);
  const generated = (file: string, text: () => string) => {
    tree.replace(file, () => Buffer.from(text()), 0o444);
  };
  const show = (folder: string, members: () => readonly Container[], files: Files) => {
    tree.makeDirectory(folder);
    for (const [name, text] of Object.entries(files)) generated(`${folder}/${name}`, () => text(members()));
  };
  show(`${mountPoint}${path}`, () => [container], { ...countedFiles, ...ownFiles });
  if (parent !== "/") {
    show(`${mountPoint}${parent}`, () => siblingsOf(engine, parent), { ...countedFiles, ...podFiles });
  }
  generated(`/proc/${run.process.pid}/cgroup`, () => `0::${path}\n`);
  tree.makeDirectory(`/proc/${run.process.pid}/net`);
  generated(`/proc/${run.process.pid}/net/dev`, () => netDev(container));
}

/** Removes the cgroup of a container after its last process. Its pod's stays, because kubelet manages it. */
export function removeCgroup(engine: MemoryEngine, container: Container): void {
  engine.host.tree.removeAll(`${mountPoint}${pathOf(engine, container)}`);
}

/** The folder of a container's cgroup on the node. */
export function cgroupFolder(engine: MemoryEngine, container: Container): string {
  return mountPoint + pathOf(engine, container);
}

function pathOf(engine: MemoryEngine, container: Container): string {
  const { id } = container;
  const name = engine.settings.cgroupDriver === "systemd" ? `docker-${id}.scope` : id;
  return `${parentOf(engine, container).replace(/\/$/, "")}/${name}`;
}

/** The name of a systemd slice contains its parents: `a-b.slice` is in `a.slice`. */
function parentOf(engine: MemoryEngine, { host }: Container): string {
  if (engine.settings.cgroupDriver === "cgroupfs") return host.cgroupParent || "/docker";
  const parts = (host.cgroupParent || "system.slice").replace(/\.slice$/, "").split("-");
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join("-")}.slice`).join("");
}

function siblingsOf(engine: MemoryEngine, parent: string): Container[] {
  return [...engine.containers.values()].filter((other) => other.run && parentOf(engine, other) === parent);
}

type Files = Readonly<Record<string, (members: readonly Container[]) => string>>;

function sum(members: readonly Container[], figure: keyof ContainerFigures): number {
  return members.reduce((total, { figures }) => total + figures[figure], 0);
}

const countedFiles: Files = {
  "cpu.stat": (members) => {
    const micros = Math.floor(sum(members, "cpuNanos") / 1000);
    return `usage_usec ${micros}\nuser_usec ${micros}\nsystem_usec 0\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n`;
  },
  "memory.current": (members) => `${sum(members, "memoryBytes")}\n`,
  "memory.stat": (members) =>
    `anon ${sum(members, "anonymousBytes")}\nfile 0\ninactive_file ${sum(members, "inactiveFileBytes")}\n` +
    `pgfault ${sum(members, "pageFaults")}\npgmajfault ${sum(members, "majorPageFaults")}\n`,
  "memory.swap.current": (members) => `${sum(members, "swapBytes")}\n`,
  "io.stat": (members) =>
    `${device} rbytes=${sum(members, "readBytes")} wbytes=${sum(members, "writtenBytes")} rios=1 wios=1 dbytes=0 dios=0\n`,
  "pids.current": (members) => `${processesOf(members).length}\n`,
};

const ownFiles: Files = {
  "cgroup.procs": (members) =>
    processesOf(members)
      .map((pid) => `${pid}\n`)
      .join(""),
};

/** Processes are in the child cgroups, and kubelet sets the limits. */
const podFiles: Files = {
  "cgroup.procs": () => "",
  "memory.max": () => "max\n",
  "memory.swap.max": () => "max\n",
  "pids.max": () => "max\n",
};

function processesOf(members: readonly Container[]): number[] {
  return members.flatMap(({ run }) => [...(run?.pids.values() ?? [])].map(({ pid }) => pid));
}

function netDev({ figures, host }: Container): string {
  const head = "Inter-|   Receive\n face |bytes packets errs drop fifo frame compressed multicast|bytes\n";
  const zeros = "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0";
  const { receivedBytes, sentBytes } = figures;
  const own = `  eth0: ${receivedBytes} 8 0 0 0 0 0 0 ${sentBytes} 4 0 0 0 0 0 0\n`;
  return `${head}    lo: ${zeros}\n${host.networkMode === "none" ? "" : own}`;
}
