import type { Host, HostKernel, HostOomLog, OomKill } from "../../../host/index.js";
import type { Process } from "../processes/process.js";
import { ProcessTable } from "../processes/process-table.js";
import { FileTree } from "./file-tree.js";
import { HostFaults } from "./host-faults.js";
import { MemoryHostFiles } from "./host-files.js";
import { MemoryLogFiles } from "./log-files.js";
import { HostPrograms, MemoryHostProcesses } from "./host-processes.js";
import { MemoryNamespaces } from "./namespaces.js";
import { MemoryHostNetwork } from "./network.js";
import { MemoryTrees } from "./trees.js";

const folders = [
  "/etc",
  "/opt",
  "/proc/self",
  "/root",
  "/run",
  "/sys/fs/cgroup",
  "/tmp",
  "/usr",
  "/var/lib",
  "/var/log",
];

/** The options of a {@link MemoryHost}. */
export interface MemoryHostOptions {
  /** `uname -r`. */
  readonly kernelRelease?: string;
  readonly cgroupVersion?: 1 | 2;
}

/** A node in memory, with its own file tree, processes and programs. */
export class MemoryHost implements Host {
  readonly tree = new FileTree();
  readonly faults = new HostFaults();
  readonly processTable = new ProcessTable();
  /** The programs for {@link MemoryHostProcesses.run}. */
  readonly programs: HostPrograms;
  readonly files: MemoryHostFiles;
  readonly trees: MemoryTrees;
  readonly logFiles: MemoryLogFiles;
  readonly processes: MemoryHostProcesses;
  readonly namespaces: MemoryNamespaces;
  readonly network: MemoryHostNetwork;
  readonly kernel: HostKernel;
  readonly cgroupVersion: 1 | 2;
  /** The kills in the kernel's log; tests add them here. */
  readonly oomKills: OomKill[] = [];

  constructor(options: MemoryHostOptions = {}) {
    for (const folder of folders) this.tree.makeDirectory(folder);
    this.tree.symlink("/run", "/var/run");
    this.tree.replace("/etc/hostname", "memory\n", 0o644);
    this.tree.replace("/etc/resolv.conf", "nameserver 192.0.2.53\n", 0o644);
    this.programs = new HostPrograms(this.tree);
    this.files = new MemoryHostFiles(this.tree, this.faults);
    this.trees = new MemoryTrees(this.tree, this.faults);
    this.logFiles = new MemoryLogFiles(this.tree, this.faults);
    this.processes = new MemoryHostProcesses(this.processTable, this.programs, this.faults);
    this.namespaces = new MemoryNamespaces(this.tree, this.faults);
    this.network = new MemoryHostNetwork((path) => {
      const [, pid] = /^\/proc\/(\d+)\/ns\/net$/.exec(path) ?? [];
      return this.processTable.get(Number(pid))?.network;
    }, this.faults);
    this.cgroupVersion = options.cgroupVersion ?? 2;
    // cgroup v1 has no files.
    const mounts =
      this.cgroupVersion === 2 ? "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw\n" : "";
    this.tree.replace("/proc/self/mountinfo", mounts, 0o444);
    // Every capability.
    this.tree.replace("/proc/self/status", "CapBnd:\t000001ffffffffff\n", 0o444);
    this.kernel = {
      release: options.kernelRelease ?? "6.12.0",
      cgroupVersion: () => Promise.resolve(this.cgroupVersion),
      readNow: (path) => this.readNow(path),
      foldersNow: (path) => this.foldersNow(path),
      openFilesNow: (pid) => (this.processTable.get(pid) ? ["/dev/null", "pipe:[1]", "pipe:[2]"] : []),
      openOomLog: async () => {
        await this.faults.meet("kernel.openOomLog", "/dev/kmsg");
        return this.oomLog();
      },
    };
    this.processTable.observe({
      started: (process) => {
        this.showProcess(process);
      },
      ended: (process) => {
        this.tree.removeAll(`/proc/${process.pid}`);
      },
    });
  }

  private readNow(path: string): string | undefined {
    try {
      return this.tree.read(path).toString("utf8");
    } catch {
      return undefined;
    }
  }

  private foldersNow(path: string): string[] {
    if (this.tree.stat(path)?.kind !== "directory") return [];
    return this.tree.list(path).filter((name) => this.tree.stat(`${path}/${name}`)?.kind === "directory");
  }

  private oomLog(): HostOomLog {
    let seen = 0;
    return {
      read: async () => {
        await this.faults.meet("oomLog.read", "/dev/kmsg");
        const fresh = this.oomKills.slice(seen);
        seen = this.oomKills.length;
        return fresh;
      },
      close: () => Promise.resolve(),
    };
  }

  private showProcess({ pid, name }: Process): void {
    this.tree.makeDirectory(`/proc/${pid}/ns`);
    this.tree.replace(`/proc/${pid}/comm`, `${name}\n`, 0o644);
    for (const namespace of ["net", "pid", "ipc", "uts", "mnt"])
      this.tree.special(`/proc/${pid}/ns/${namespace}`);
  }
}
