import type { CallOptions } from "../base/index.js";
import type { DockerResources } from "./resources.js";
import type { AttachedStream, OutputFrame } from "./streams.js";

/** One line of Docker's container list. */
export interface DockerContainerSummary {
  /** 64 hex digits. */
  readonly id: string;
  /** Names without the leading slash. */
  readonly names: readonly string[];
  /** The image as it was named at create. */
  readonly image?: string;
  readonly imageId?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state?: DockerStateName;
  /** Whole seconds since the epoch: lists have no finer time. */
  readonly createdAtSeconds?: number;
  readonly mounts: readonly DockerMountPoint[];
}

/** The state of a container, as Docker names it. */
export type DockerStateName =
  "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";

/** The answer of `docker inspect`. Docker may omit every optional field. */
export interface DockerContainer {
  /** 64 hex digits. */
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  readonly createdAtNanos?: bigint;
  /** The id of the image, `sha256:…`. */
  readonly imageId?: string;
  readonly state: DockerContainerState;
  readonly config: DockerContainerConfig;
  readonly host: DockerHostConfig;
  readonly mounts: readonly DockerMountPoint[];
  readonly networks: readonly DockerEndpoint[];
  /** The sandbox's network namespace as a path, when Docker made one. */
  readonly networkNamespacePath?: string;
  /** The upper folder of the writable layer, where Docker's own store with overlayfs keeps it. */
  readonly upperDirectory?: string;
  /** The file behind the json-file log driver. */
  readonly logPath?: string;
  readonly resolvConfPath?: string;
  /** How often Docker itself restarted it. */
  readonly restartCount?: number;
  /** Ids of the execs that have not ended. */
  readonly execIds: readonly string[];
}

export interface DockerContainerState {
  readonly status?: DockerStateName;
  readonly running: boolean;
  readonly paused: boolean;
  readonly oomKilled: boolean;
  readonly dead: boolean;
  /** The first process on the host; absent when not running. */
  readonly pid?: number;
  readonly exitCode?: number;
  /** Docker's text for a start that failed. */
  readonly error?: string;
  /** Absent when it was never started. */
  readonly startedAtNanos?: bigint;
  /** Absent when it never ended. */
  readonly finishedAtNanos?: bigint;
}

/** The portable half of a container's configuration. Absent fields take the image's values. */
export interface DockerContainerConfig {
  readonly image?: string;
  readonly hostname?: string;
  readonly domainname?: string;
  /** `uid`, `name`, `uid:gid` or `name:group`. */
  readonly user?: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  /** `NAME=value`, in order, duplicates kept. */
  readonly env?: readonly string[];
  readonly workingDir?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly tty?: boolean;
  readonly openStdin?: boolean;
  readonly stdinOnce?: boolean;
  /** A name (`SIGTERM`) or number. */
  readonly stopSignal?: string;
  /** `port/protocol`. */
  readonly exposedPorts?: readonly string[];
  /** True: no health check, even if the image has one. */
  readonly healthcheckDisabled?: boolean;
}

/** The half of a container's configuration that belongs to the node. */
export interface DockerHostConfig {
  /** `none`, `host`, `default`, `bridge`, or `container:ID`. */
  readonly networkMode?: string;
  /** `private`, `shareable`, `host`, or `container:ID`. */
  readonly ipcMode?: string;
  /** Empty (own), `host`, or `container:ID`. */
  readonly pidMode?: string;
  /** Empty (own) or `host`. */
  readonly utsMode?: string;
  readonly usernsMode?: string;
  /** Whether Docker's own init is process 1; absent is the daemon's default. */
  readonly init?: boolean;
  readonly privileged?: boolean;
  readonly readonlyRootfs?: boolean;
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly groupAdd?: readonly string[];
  readonly securityOpt?: readonly string[];
  /** An empty list masks nothing; absent is Docker's default list. */
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly sysctls?: Readonly<Record<string, string>>;
  readonly mounts?: readonly DockerMount[];
  /** `source:target[:options]`, the older spelling of bind mounts. */
  readonly binds?: readonly string[];
  readonly tmpfs?: Readonly<Record<string, string>>;
  readonly devices?: readonly DockerDevice[];
  /** Fully qualified CDI device names; needs Docker 25. */
  readonly cdiDevices?: readonly string[];
  readonly cgroupParent?: string;
  /** `host` or `private`; absent is the daemon's default. */
  readonly cgroupnsMode?: string;
  readonly resources?: DockerResources;
  readonly shmSizeBytes?: number;
  /** The OCI runtime's name; absent is the daemon's default. */
  readonly runtime?: string;
  readonly logConfig?: { readonly driver: string; readonly options?: Readonly<Record<string, string>> };
  readonly portBindings?: readonly DockerPortBinding[];
  readonly restartPolicy?: "no" | "always" | "on-failure" | "unless-stopped";
  readonly dns?: readonly string[];
  readonly dnsSearch?: readonly string[];
  readonly dnsOptions?: readonly string[];
  readonly extraHosts?: readonly string[];
}

export interface DockerMount {
  readonly type: "bind" | "image" | "tmpfs" | "volume";
  /** A host path, an image reference or a volume's name, by type. */
  readonly source: string;
  readonly target: string;
  readonly readonly?: boolean;
  readonly propagation?: "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared";
  /** True: only the top mount is read-only (API 1.44). */
  readonly readonlyNonRecursive?: boolean;
  /** True: fail unless every mount below can be made read-only (API 1.44). */
  readonly readonlyForceRecursive?: boolean;
  /** True: make a missing source as an empty directory (API 1.42). */
  readonly createMountpoint?: boolean;
  /** The folder of an image mount that is shown (API 1.48). */
  readonly imageSubpath?: string;
}

/** A mount as `inspect` reports it. */
export interface DockerMountPoint {
  readonly type?: string;
  readonly source?: string;
  readonly target: string;
  readonly writable: boolean;
  readonly propagation?: string;
}

export interface DockerDevice {
  readonly hostPath: string;
  readonly containerPath: string;
  /** Of `r`, `w`, `m`. */
  readonly permissions: string;
}

export interface DockerPortBinding {
  readonly containerPort: number;
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly hostPort: number;
  readonly hostIp?: string;
}

export interface DockerEndpoint {
  readonly network: string;
  readonly ipv4?: string;
  readonly ipv6?: string;
}

/** All that a create needs. */
export interface DockerContainerSpec {
  /** Without the leading slash; unique on the engine. */
  readonly name: string;
  readonly config: DockerContainerConfig;
  readonly host: DockerHostConfig;
}

export interface LogOptions extends CallOptions {
  readonly follow?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  /** Inclusive: an entry with exactly this time is returned again. */
  readonly sinceNanos?: bigint;
  /** Only this many entries, the last ones. */
  readonly tailLines?: number;
  /** Whether the container has a terminal. When undefined, Docker is asked first. */
  readonly isTerminal?: boolean | undefined;
  /** Until this aborts, entries may be delayed for up to 200 ms to arrive in larger batches. */
  readonly gatherUntil?: AbortSignal;
}

/**
 * One entry of Docker's log. A line over 16 KiB comes in several entries of one time; only the last of them
 * ends with a newline.
 */
export interface LogFrame extends OutputFrame {
  readonly timestampNanos: bigint;
}

/**
 * Containers. `id` may be an id, an unambiguous prefix or a name. Every method throws a ShimError:
 * `not-found` for an unknown container, `unavailable` when Docker cannot be reached or answers 5xx for a
 * passing reason, `deadline-exceeded` and `cancelled` as CallOptions say, `internal` for the rest; each
 * method documents its additions.
 */
export interface DockerContainers {
  /**
   * Lists containers in every state, newest first.
   * @param filter.labels All must match; an undefined value asks only that the key is there.
   * @see Docker API GET /containers/json?all=1 (never with size).
   */
  list(
    filter?: { readonly labels?: Readonly<Record<string, string | undefined>> },
    options?: CallOptions,
  ): Promise<DockerContainerSummary[]>;

  /** @see Docker API GET /containers/{id}/json (never with size) */
  inspect(id: string, options?: CallOptions): Promise<DockerContainer>;

  /**
   * Creates a container and does not start it. Once sent, the call is not aborted by `options.signal`:
   * an aborted create would leave a container that no caller knows.
   * @returns Its id and Docker's warnings.
   * @throws ShimError `not-found` for an unknown image; `already-exists` when the name is taken, with
   *   {@link NameConflict} as its cause; `invalid-argument` for a configuration that Docker refuses.
   * @see Docker API POST /containers/create
   */
  create(spec: DockerContainerSpec, options?: CallOptions): Promise<{ id: string; warnings: string[] }>;

  /**
   * Starts a created or exited container.
   * @throws ShimError `failed-precondition` when it is running already (Docker's 304); `invalid-argument`
   *   when the command cannot be run; `conflict` while it is being removed.
   * @see Docker API POST /containers/{id}/start
   */
  start(id: string, options?: CallOptions): Promise<void>;

  /**
   * Sends the stop signal, waits `graceSeconds`, then SIGKILL. A container that is not running is a success.
   * The default deadline is the grace period and 30 s.
   * @see Docker API POST /containers/{id}/stop
   */
  stop(id: string, options: CallOptions & { readonly graceSeconds: number }): Promise<void>;

  /**
   * @param options.killSignal A name or number; SIGKILL when absent.
   * @throws ShimError `failed-precondition` when it is not running.
   * @see Docker API POST /containers/{id}/kill
   */
  kill(id: string, options?: CallOptions & { readonly killSignal?: string }): Promise<void>;

  /**
   * Removes a container with its anonymous volumes.
   * @throws ShimError `conflict` when it runs and `force` is not set, or a removal is under way.
   * @see Docker API DELETE /containers/{id}?v=1
   */
  remove(id: string, options?: CallOptions & { readonly force?: boolean }): Promise<void>;

  /**
   * Changes limits of a container, running or not. Absent fields stay as they are.
   * @throws ShimError `invalid-argument` for values that Docker refuses; `unsupported` for an oomScoreAdj, which
   *   Docker would accept and ignore.
   * @see Docker API POST /containers/{id}/update
   */
  update(id: string, resources: DockerResources, options?: CallOptions): Promise<void>;

  /**
   * Reads the log in batches, oldest entry first; with `follow`, until the container has ended. Leaving the loop closes
   * the connection. A batch is valid until the next is requested; its entries may be kept.
   *
   * A follow may end before the last entries, and may skip or repeat entries when Docker rotates its log. The caller
   * must compare with what it has, and read again.
   * @throws ShimError `unsupported` when the container's log driver cannot be read.
   * @see Docker API GET /containers/{id}/logs?timestamps=1
   */
  logs(id: string, options?: LogOptions): AsyncIterable<readonly LogFrame[]>;

  /**
   * Attaches to the container's first process.
   * @throws ShimError `conflict` when it is not running.
   * @see Docker API POST /containers/{id}/attach?stream=1
   */
  attach(id: string, options: CallOptions & AttachOptions): Promise<AttachedStream>;

  /** Sets the size of the terminal. @see Docker API POST /containers/{id}/resize */
  resize(id: string, size: TerminalSize, options?: CallOptions): Promise<void>;

  /**
   * Writes the container's whole filesystem as a tar stream, in chunks.
   * @see Docker API GET /containers/{id}/export
   */
  export(id: string, options?: CallOptions): AsyncIterable<Uint8Array>;

  /**
   * Has Docker look for what a created container mounts, which it otherwise does only at the start. An image mount's
   * sub-path is found inside the image.
   * @throws ShimError `not-found` for an image's sub-path that does not exist; `invalid-argument` for one that leads out
   *   of the image.
   * @see Docker API GET /containers/{id}/archive
   */
  resolveMounts(id: string, options?: CallOptions): Promise<void>;

  /**
   * Makes a CRIU checkpoint of a running container.
   * @throws ShimError `failed-precondition` when the engine is not experimental or has no CRIU.
   * @see Docker API POST /containers/{id}/checkpoints
   */
  checkpoint(
    id: string,
    options: CallOptions & { readonly name: string; readonly directory: string; readonly exit: boolean },
  ): Promise<void>;
}

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** The container has a terminal: one raw stream, shown as stdout. */
  readonly tty: boolean;
}

/** In character cells. */
export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** The cause of an `already-exists` error of create: the container that holds the name. */
export class NameConflict extends Error {
  override readonly name = "NameConflict";

  /** @param holderId The id that Docker reports for the holder. A container with that id may no longer exist. */
  constructor(
    readonly containerName: string,
    readonly holderId: string | undefined,
  ) {
    super(`the name ${containerName} is in use by container ${holderId ?? "(unknown)"}`);
  }
}
