import type { ProcessResult } from "./status.js";
import type { TerminalSize } from "./terminal-size.js";

/** A piece of output and the stream it came on; a terminal's output counts as stdout. */
export interface ProcessOutput {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
}

/** A process with attached streams: an exec, or a container. */
export interface ProcessIo {
  /** Ends when the process has closed it. May be iterated once; the process blocks while there is no reader. */
  readonly output: AsyncIterable<ProcessOutput>;
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
