import type { ProcessResult } from "./status.js";
import type { TerminalSize } from "./terminal-size.js";

/** Receives output; resolves when it can receive more. */
export type PutOutput = (stream: "stdout" | "stderr", data: Uint8Array) => Promise<void>;

/** A process with attached streams: an exec, or a container. */
export interface ProcessIo {
  /**
   * Passes all output to a receiver, until the process has closed it; the output of a terminal is stdout. Call it once.
   * The process blocks until it is called, and while `put` is pending. Rejects when the connection is lost.
   */
  readOutput(put: PutOutput): Promise<void>;
  /** Writes to stdin; resolves when more may be written. Rejects once the connection is closed. */
  write(data: Uint8Array): Promise<void>;
  /** Closes stdin after the written data. The stdin of a terminal stays open. */
  endInput(): void;
  /** Sets the terminal's size; the latest counts. Never throws. */
  resize(size: TerminalSize): void;
  /** The result, once the output has ended. */
  result(): Promise<ProcessResult>;
  /** Call when the client has disconnected. Resolves when the session is cleaned up. Idempotent, never throws. */
  abandon(): Promise<void>;
}
