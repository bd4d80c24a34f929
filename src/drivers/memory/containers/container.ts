import type {
  DockerContainerConfig,
  DockerContainerState,
  DockerEndpoint,
  DockerExecSpec,
  DockerExecState,
  DockerHostConfig,
  DockerMountPoint,
  DockerStateName,
} from "../../../docker/index.js";
import type { MemoryAttachedStream } from "../attached.js";
import type { StoredImage } from "../images/image.js";
import type { Pipe } from "../pipe.js";
import type { Process } from "../processes/process.js";
import type { Terminal } from "../terminal.js";
import { firstFigures, type ContainerFigures } from "./figures.js";
import type { ContainerFiles } from "./files.js";
import type { LogStore } from "./log-store.js";

/** The state of a running container. */
export interface ContainerRun {
  readonly process: Process;
  readonly stdin: Pipe<Uint8Array>;
  readonly terminal: Terminal | undefined;
  readonly address: string | undefined;
  readonly networkNamespacePath: string | undefined;
  /** Processes by their number inside the container. */
  readonly pids: Map<number, Process>;
  /** The highest of these numbers so far. */
  lastPid: number;
}

/** The fixed parts of a container. */
export interface ContainerParts {
  readonly id: string;
  readonly name: string;
  readonly createdAtNanos: bigint;
  readonly image: StoredImage;
  readonly config: DockerContainerConfig;
  readonly host: DockerHostConfig;
  readonly mounts: readonly DockerMountPoint[];
  readonly log: LogStore;
  readonly files: ContainerFiles;
  readonly folder: string;
}

/** One container: its configuration and its state. */
export class Container {
  readonly id: string;
  /** Changed by a rename. */
  name: string;
  readonly createdAtNanos: bigint;
  readonly image: StoredImage;
  readonly mounts: readonly DockerMountPoint[];
  readonly log: LogStore;
  readonly files: ContainerFiles;
  /** Docker's folder for it on the node. */
  readonly folder: string;
  /** Its host name changes when it joins another container's network. */
  config: DockerContainerConfig;
  /** Changed by update. */
  host: DockerHostConfig;

  run: ContainerRun | undefined;
  /** Its resource use, as in the node's files. */
  readonly figures: ContainerFigures = firstFigures();
  paused = false;
  removing = false;
  oomKilled = false;
  exitCode = 0;
  error: string | undefined;
  startedAtNanos: bigint | undefined;
  finishedAtNanos: bigint | undefined;
  /** The start that is under way. */
  starting: Promise<void> | undefined;
  readonly execs = new Set<Exec>();
  readonly attached = new Set<MemoryAttachedStream>();

  constructor(parts: ContainerParts) {
    this.id = parts.id;
    this.name = parts.name;
    this.createdAtNanos = parts.createdAtNanos;
    this.image = parts.image;
    this.config = parts.config;
    this.host = parts.host;
    this.mounts = parts.mounts;
    this.log = parts.log;
    this.files = parts.files;
    this.folder = parts.folder;
  }

  get status(): DockerStateName {
    if (this.removing) return "removing";
    if (this.run) return this.paused ? "paused" : "running";
    return this.startedAtNanos === undefined ? "created" : "exited";
  }

  get running(): boolean {
    return this.run !== undefined;
  }

  state(): DockerContainerState {
    return {
      status: this.status,
      running: this.running,
      paused: this.paused,
      oomKilled: this.oomKilled,
      dead: false,
      ...(this.run ? { pid: this.run.process.pid } : {}),
      exitCode: this.exitCode,
      ...(this.error === undefined ? {} : { error: this.error }),
      ...(this.startedAtNanos === undefined ? {} : { startedAtNanos: this.startedAtNanos }),
      ...(this.finishedAtNanos === undefined ? {} : { finishedAtNanos: this.finishedAtNanos }),
    };
  }

  endpoints(): DockerEndpoint[] {
    const mode = this.host.networkMode ?? "default";
    if (mode.startsWith("container:")) return [];
    const network = mode === "default" ? "bridge" : mode;
    return [{ network, ...(this.run?.address === undefined ? {} : { ipv4: this.run.address }) }];
  }
}

/** An exec. */
export class Exec {
  started = false;
  process: Process | undefined;
  terminal: Terminal | undefined;
  /** The exit code of a command that could not be run. */
  failedCode: number | undefined;

  constructor(
    readonly id: string,
    readonly container: Container,
    readonly spec: DockerExecSpec,
  ) {}

  get running(): boolean {
    return this.process?.alive === true;
  }

  state(): DockerExecState {
    const exitCode = this.failedCode ?? this.process?.exitCode;
    return {
      running: this.running,
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(this.process ? { pid: this.process.pid } : {}),
    };
  }
}
