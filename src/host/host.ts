import type { ReadFileOptions } from "../base/index.js";
import type { HostLogFiles } from "./log-files.js";
import type { HostNetwork } from "./network.js";

/**
 * The port to the node: its files, processes and kernel. Paths are absolute. Methods throw Node's own
 * errors with their `code` (`ENOENT`, …): callers decide what a missing file means.
 */
export interface Host {
  readonly files: HostFiles;
  readonly trees: HostTrees;
  readonly processes: HostProcesses;
  readonly kernel: HostKernel;
  readonly namespaces: HostNamespaces;
  readonly logFiles: HostLogFiles;
  readonly network: HostNetwork;
}

/** The token under which the shim's {@link Host} is registered. */
export const Host = Symbol("Host");

export interface HostFiles {
  /**
   * Reads a whole regular file, links followed. The path may come from a caller: a pipe or a device there is refused
   * without waiting for it, and the size and the time are bounded.
   * @throws `EINVAL` for anything but a regular file, `EISDIR`, `EFBIG` for a file larger than `maxBytes`. ShimError
   *   "deadline-exceeded", "cancelled"; "unavailable" while an earlier read of the path still hangs.
   */
  read(path: string, options?: ReadFileOptions): Promise<Buffer>;
  /**
   * Writes a whole file atomically, so that readers see the old content or the new one, also after a crash: a temporary file
   * in the same folder, written, synced, renamed. Makes the folder (mode 0755) when it is missing. The temporary
   * file of NAME is called `.NAME.HEX.tmp`: leftovers of a crash are recognised by that name.
   * @param options.mode Of the file, 0600 by default.
   * @param options.sync False for a file that may be torn after a crash of the machine.
   */
  writeAtomic(
    path: string,
    content: string | Uint8Array,
    options?: { readonly mode?: number; readonly sync?: boolean },
  ): Promise<void>;
  /**
   * Overwrites an existing regular file in place, which keeps its inode and bind mounts of it.
   * @throws `EINVAL` for anything but a regular file.
   */
  overwrite(path: string, content: string): Promise<void>;
  /** Names, unsorted; an empty list when the folder is missing. */
  list(directory: string): Promise<string[]>;
  /** A missing file is a success. */
  remove(path: string): Promise<void>;
  makeDirectory(path: string, options?: { readonly mode?: number }): Promise<void>;
  /** The type of the path, links not followed; undefined when it is missing. */
  kindOf(path: string): Promise<"file" | "directory" | "link" | "other" | undefined>;
  /** The path with every link resolved. */
  realPath(path: string): Promise<string>;
  /** The target of a link; the target need not exist. @throws EINVAL when the path is not a link. */
  readLink(path: string): Promise<string>;
  /** Of the file system that holds `path`. */
  usage(path: string): Promise<FileSystemUsage>;
  /** The mount point of `path`. */
  mountPointOf(path: string): Promise<string>;
  /**
   * Calls `changed` soon after something in the folder was created, written or removed, or a watched file was written, and
   * a last time when the folder or the file itself is removed. A burst may result in many calls. It is a hint: a caller
   * that must not miss a change polls as well.
   * @throws ENOENT when it is missing.
   */
  watch(path: string, changed: () => void): Promise<HostWatch>;
}

/** Whole folders. */
export interface HostTrees {
  /**
   * Unpacks a tar archive into a new folder: files, folders, links, with their modes, owners and times. Devices, pipes
   * and extended attributes are skipped. It is written under a temporary name in the same folder (with a dot before and
   * `.tmp` after), synced and renamed, so that it is complete or missing. Nothing is written outside it, regardless of
   * the archive's names and links.
   * @param options.leaveOut Entries to skip; folders that other entries need are still created.
   * @throws ENOTEMPTY when the folder exists; ENOSPC; Error for a truncated or hostile archive.
   */
  unpack(
    archive: AsyncIterable<Uint8Array>,
    directory: string,
    options?: { readonly leaveOut?: (entry: ArchiveEntry) => boolean },
  ): Promise<void>;
  /**
   * Removes a file, or a folder with its content. Succeeds if it is missing. The parent folder is opened by descriptor,
   * and no link is followed in its place, nor inside.
   * @param name In `directory`.
   * @throws EINVAL for a name that leads elsewhere; ELOOP or ENOTDIR when `directory` is not a folder.
   */
  remove(directory: string, name: string): Promise<void>;
  /**
   * Measures a folder with its content, in small steps with pauses. Concurrent changes may be counted or not.
   * @throws ENOENT when the folder is missing; the signal's reason once it has aborted.
   */
  usage(directory: string, options: MeasureOptions): Promise<TreeUsage>;
}

/** How a folder is measured. */
export interface MeasureOptions {
  /** The share of a core, and of the disk's time, that it may use: above 0, at most 1. */
  readonly share: number;
  /** Counts only the differences from this folder, of which the measured one is a copy. */
  readonly unlessIn?: string | undefined;
  readonly signal: AbortSignal;
}

/** The disk usage of a folder. */
export interface TreeUsage {
  /** The size of the allocated blocks: holes do not count, and a file with several names counts once. */
  readonly usedBytes: bigint;
  readonly inodes: bigint;
}

/** The header of one entry of an archive. */
export interface ArchiveEntry {
  /** Without a slash at either end; empty for the folder itself. */
  readonly path: string;
  readonly modifiedAt: Date;
}

/** A folder being watched. */
export interface HostWatch {
  /** `changed` is not called again. Idempotent. */
  close(): void;
}

export interface FileSystemUsage {
  readonly totalBytes: bigint;
  readonly usedBytes: bigint;
  readonly totalInodes: bigint;
  readonly usedInodes: bigint;
}

export interface HostProcesses {
  /** True while a process with this pid lives; false for a zombie. */
  isAlive(pid: number): Promise<boolean>;
  /**
   * Kills a process and all its descendants.
   * @returns How many processes were signalled.
   */
  killTree(pid: number): Promise<number>;
  /**
   * Kills the processes whose initial environment matches, and their descendants, until there are none. Processes that
   * this user may not inspect are skipped.
   * @returns How many were killed.
   */
  killWhere(isMeant: (environment: ReadonlyMap<string, string>) => boolean): Promise<number>;
  /** The shim's own oom_score_adj, -1000 to 1000. */
  ownOomScoreAdj(): Promise<number>;
  /**
   * Runs a program to its end in its own process group. At the deadline, or when the signal aborts, the group, the
   * program's descendants, and all processes with the run's mark in their environment get SIGKILL: also one that started
   * its own session and outlived its parent.
   * @throws ShimError `deadline-exceeded`, `cancelled`; `not-found` when there is no such program;
   *   `resource-exhausted` when it prints more than `maxOutputBytes` (the group is killed).
   */
  run(command: HostCommand): Promise<HostCommandResult>;
}

export interface HostCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** The whole environment; nothing is inherited. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  /** For stdout and stderr each; 16 MiB by default. */
  readonly maxOutputBytes?: number;
}

export interface HostCommandResult {
  /** 128 + the signal's number when a signal ended it. */
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** Namespaces of processes. */
export interface HostNamespaces {
  /**
   * Bind-mounts a namespace, which keeps it alive without processes until it is released. One that is already mounted
   * there stays.
   * @param path Such as `/proc/PID/ns/net`.
   * @param keptAt Its folder is made (mode 0700) when it is missing.
   * @throws ShimError "failed-precondition" when this process lacks the permission, or the namespace does not exist.
   */
  keep(path: string, keptAt: string): Promise<void>;
  /** Whether a namespace is kept at a path. */
  isKept(keptAt: string): Promise<boolean>;
  /** Unmounts a namespace and removes its path. Succeeds if it is not mounted. */
  release(keptAt: string): Promise<void>;
}

export interface HostKernel {
  /** `uname -r`. */
  readonly release: string;
  /** 2 on a unified hierarchy, else 1. */
  cgroupVersion(): Promise<1 | 2>;
  /**
   * Synchronously reads a small file that the kernel generates in memory, in a cgroup or /proc. It takes some ten
   * microseconds; a read through the thread pool takes ten times that. Split many reads into slices.
   * @returns Undefined when the file is missing or may not be read, when the kernel does not support it, and when its
   *   cgroup or process ends during the read, or has ended and is a zombie.
   * @throws Node's own error for anything else, such as `EMFILE`.
   */
  readNow(path: string): string | undefined;
  /** The names of the folders in such a folder; none when it is missing. */
  foldersNow(path: string): string[];
  /**
   * The targets of the open files of a process, such as `/dev/null` or `socket:[123]`; none when it has ended.
   * @returns Undefined when there are more than `most`: a container may open a million of them.
   */
  openFilesNow(pid: number, most: number): string[] | undefined;
  /**
   * Opens the kernel's log of processes that it killed for lack of memory. The caller must close it.
   * @throws ENOENT, EPERM, EACCES where the kernel's log cannot be read.
   */
  openOomLog(): Promise<HostOomLog>;
}

/** A reader of the kernel's log, with its own position. */
export interface HostOomLog {
  /**
   * The kills since the last read; at the first, those that are still in the log. Does not wait for one. Some are
   * missing if the kernel has overwritten or rate-limited them (ten in 5 s).
   */
  read(): Promise<OomKill[]>;
  close(): Promise<void>;
}

/** A process that the kernel killed. */
export interface OomKill {
  /** The process's cgroup, such as `/docker/0f3c…`. */
  readonly cgroup: string;
  /** The latest possible time: the log's clock differs slightly from the wall clock. */
  readonly latestNanos: bigint;
}
