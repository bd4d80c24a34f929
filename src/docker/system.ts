import type { CallOptions } from "../base/index.js";

export interface DockerVersion {
  /** The engine's release, such as `20.10.24`. */
  readonly engineVersion?: string;
  /** The newest API version that the engine supports, `1.41`. */
  readonly apiVersion?: string;
  readonly minApiVersion?: string;
  readonly kernelVersion?: string;
}

export interface DockerInfo {
  readonly engineId?: string;
  readonly engineVersion?: string;
  /** The host name of the engine's node. */
  readonly hostname?: string;
  readonly cgroupDriver?: "cgroupfs" | "systemd" | "none";
  readonly cgroupVersion?: 1 | 2;
  /** Docker's data-root. */
  readonly rootDirectory?: string;
  readonly storageDriver?: string;
  /** True when images live in containerd's store: their ids are manifest digests. */
  readonly containerdImageStore: boolean;
  readonly logDriver?: string;
  readonly defaultRuntime?: string;
  readonly runtimes: readonly DockerRuntime[];
  /** As Docker writes them: `name=seccomp,profile=default`. */
  readonly securityOptions: readonly string[];
  readonly liveRestore?: boolean;
  readonly experimental?: boolean;
  readonly kernelVersion?: string;
  readonly cpus?: number;
  readonly memoryBytes?: number;
  readonly swapLimitSupported?: boolean;
  /** Where Docker looks for CDI specs; absent or empty when CDI is off. */
  readonly cdiSpecDirectories?: readonly string[];
  readonly warnings: readonly string[];
}

export interface DockerRuntime {
  readonly name: string;
  /** Mount options from the runtime's features (Docker 25 on); `rro` among them means recursive read-only. */
  readonly mountOptions?: readonly string[];
}

/** The engine as a whole. Errors as for containers. */
export interface DockerSystem {
  /** Resolves when Docker answers. @see Docker API GET /_ping */
  ping(options?: CallOptions): Promise<void>;
  /** @see Docker API GET /version */
  version(options?: CallOptions): Promise<DockerVersion>;
  /** @see Docker API GET /info */
  info(options?: CallOptions): Promise<DockerInfo>;
  /**
   * The API version in use on this connection, as `[1, 41]`; negotiated when it is not yet known.
   * @throws ShimError `unsupported` when the engine is too old or too new for the shim.
   */
  apiVersion(options?: CallOptions): Promise<readonly [major: number, minor: number]>;
}
