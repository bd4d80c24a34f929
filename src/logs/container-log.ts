import { dirname } from "node:path";
import { RepeatedWarning, sleep, type Gate, type Logger } from "../base/index.js";
import type { DockerContainer, DockerContainers } from "../docker/index.js";
import type { Host } from "../host/index.js";
import type { BufferPool } from "./pump/line-buffer.js";

/** A container and the path of its log. */
export interface LogTarget {
  /** 64 hex digits. */
  readonly id: string;
  /** Absolute; empty when kubelet wants no log. */
  readonly logPath: string;
  /**
   * The pod's log directory: neither it nor anything below it may be a link. By default the folder above the file's,
   * as kubelet's paths are POD/CONTAINER/N.log.
   */
  readonly logRoot?: string | undefined;
  /** Docker's log driver of the container, where it is known. */
  readonly logDriver?: string | undefined;
  /** Docker's description of a container that was started, where it is known: it is not inspected then. */
  readonly container?: DockerContainer | undefined;
}

export function rootOf({ logPath, logRoot }: LogTarget): string {
  return logRoot ?? dirname(dirname(logPath));
}

export type LogSource = Pick<DockerContainers, "logs" | "inspect">;

/** Finds Docker's description of a container; it never rejects. */
export type Describe = () => Promise<DockerContainer | undefined>;

/** Lines that were written to a log file in one go. */
export interface WrittenLines {
  readonly lines: number;
  readonly bytes: number;
  /** From Docker's timestamp of the last of them until they were written. */
  readonly lagSeconds: number;
}

/** The warnings that the logs of all containers share. */
export interface LogWarnings {
  readonly reading: RepeatedWarning;
  readonly writing: RepeatedWarning;
  readonly linking: RepeatedWarning;
}

export function logWarnings(log: Logger): LogWarnings {
  return {
    reading: new RepeatedWarning(log, {
      failing: "cannot copy container logs from Docker to their files; trying again",
      recovered: "container logs are copied to their files again",
    }),
    writing: new RepeatedWarning(log, {
      failing:
        "cannot write container log files; lines wait, and Docker with them, until they can be written",
      recovered: "container log files can be written again",
    }),
    linking: new RepeatedWarning(log, {
      failing: "cannot link container logs; trying again",
      recovered: "container logs are linked again",
    }),
  };
}

/** What the logs of all containers share. */
export interface LogContext {
  readonly docker: LogSource;
  readonly host: Pick<Host, "files" | "logFiles">;
  readonly log: Logger;
  readonly warnings: LogWarnings;
  readonly pool: BufferPool;
  /** Limits how many containers read what Docker has stored at the same time. */
  readonly gate: Gate;
  /** Is shown each write. */
  onWrite?: ((written: WrittenLines) => void) | undefined;
}

/** The log of one container: a file that a pump writes, or a link to Docker's own file. */
export interface ContainerLog {
  /** Resolves once the container has ended, or was removed, and its log is complete. */
  readonly complete: Promise<void>;
  /** True once {@link complete} has resolved. */
  readonly isComplete: boolean;
  /**
   * Reports that the container was started; resolves when its log can be opened.
   * @param describe Docker's description of it then.
   */
  started(describe?: Describe): Promise<void>;
  /** Reports that the container has ended: the wait for the rest of its log is short from now on. */
  ended(): void;
  /** Continues in a new file. @throws ShimError, or Node's error. */
  reopen(): Promise<void>;
  /** Ends all work and closes what is open. The file stays as it is. */
  stop(): Promise<void>;
}

/** A sleep that another part of the program can end. A call of {@link wake} before the sleep ends it at once. */
export class Wakeup {
  private next = new AbortController();

  async sleep(ms: number): Promise<void> {
    await sleep(ms, this.next.signal).catch(() => undefined);
    if (this.next.signal.aborted) this.next = new AbortController();
  }

  /** Ends the present sleep, or the next one. */
  wake(): void {
    this.next.abort();
  }
}
