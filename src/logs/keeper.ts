import type { DockerContainer, DockerContainers } from "../docker/index.js";

/** What the room asks of Docker. */
export type LogSource = Pick<DockerContainers, "logBatches" | "inspect">;

/** Finds out what Docker says of a container. */
export type Describe = () => Promise<DockerContainer | undefined>;

/** What keeps the log of one container. */
export interface LogKeeper {
  /** Resolves once the container has ended, or is gone, and its log is complete. */
  readonly complete: Promise<void>;
  /** True once {@link complete} has resolved. */
  readonly isComplete: boolean;
  /**
   * The container was started; resolves when its log can be opened.
   * @param describe What Docker says of it then, where that comes to be known; it never rejects.
   */
  started(describe?: Describe): Promise<void>;
  /** The container does not run any more: what is left of its log is not waited for long. */
  ended(): void;
  /** Goes on in a new file. @throws ShimError, or Node's error. */
  reopen(): Promise<void>;
  /** Ends all work and closes what is open. The file stays as it is. */
  stop(): Promise<void>;
}
