import type { CallOptions } from "../base/index.js";
import type { TerminalSize } from "./containers.js";
import type { AttachedStream } from "./streams.js";

export interface DockerExecSpec {
  readonly command: readonly string[];
  /** `NAME=value`, over the container's own. */
  readonly env?: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export interface DockerExecState {
  readonly running: boolean;
  /** Absent while it runs. */
  readonly exitCode?: number;
  /** The process on the host; absent or meaningless once it has ended. */
  readonly pid?: number;
}

/** Further processes in a running container. Errors as for containers. */
export interface DockerExecs {
  /**
   * @returns The exec's id.
   * @throws ShimError `conflict` when the container is not running, or paused.
   * @see Docker API POST /containers/{id}/exec
   */
  create(containerId: string, spec: DockerExecSpec, options?: CallOptions): Promise<string>;

  /**
   * Starts it and takes over its streams. For a command that is missing or cannot be run, Docker reports an output and
   * exit code 127 or 126, or this throws `invalid-argument`, depending on Docker's version.
   * `options.signal` ends the start only, not the returned stream.
   * @see Docker API POST /exec/{id}/start
   */
  start(execId: string, options: CallOptions & { readonly tty: boolean }): Promise<AttachedStream>;

  /** @see Docker API GET /exec/{id}/json */
  inspect(execId: string, options?: CallOptions): Promise<DockerExecState>;

  /** @see Docker API POST /exec/{id}/resize */
  resize(execId: string, size: TerminalSize, options?: CallOptions): Promise<void>;
}
