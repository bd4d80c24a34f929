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
  /** Writes to stdin; resolves when more may be written. Rejects once the process has gone. */
  write(data: Uint8Array): Promise<void>;
  /** Closes stdin after the written data. A terminal has no such end: it stays open. */
  endInput(): void;
  /** Sets the terminal's size; the latest counts. Never throws. */
  resize(size: TerminalSize): void;
  /** How it has ended, once its output has. */
  result(): Promise<ProcessResult>;
  /** The client has gone. Resolves when nothing of the session is left. Idempotent, never throws. */
  abandon(): Promise<void>;
}
