/** A piece of output and the stream it came on; a terminal's output counts as stdout. */
export interface OutputFrame {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
}

/** A hijacked connection to a process: exec or attach. The holder must end or destroy it. */
export interface AttachedStream {
  /**
   * The output, in the order in which Docker sent it; ends when the process has closed it. May be iterated
   * once; without a reader, Docker is held back. Leaving the loop early destroys the connection.
   */
  readonly output: AsyncIterable<OutputFrame>;

  /** Writes to stdin; resolves when more may be written. Rejects once the connection has gone. */
  write(data: Uint8Array): Promise<void>;

  /** Closes stdin and leaves the output open. */
  endInput(): void;

  /** Closes the connection at once; the output ends with `error`, or quietly without one. Idempotent. */
  destroy(error?: Error): void;
}
