/** A piece of output and the stream it came on; a terminal's output counts as stdout. */
export interface OutputFrame {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
}

/** A hijacked connection to a process: exec or attach. The holder must end or destroy it. */
export interface AttachedStream {
  /**
   * The output, in the order in which Docker sent it; ends when the process has closed it. Can be iterated
   * once; without a reader, Docker blocks. Leaving the loop early destroys the connection.
   */
  readonly output: AsyncIterable<OutputFrame>;

  /** Writes to stdin; resolves when more may be written. Rejects once the connection is closed. */
  write(data: Uint8Array): Promise<void>;

  /** Closes stdin and leaves the output open. */
  endInput(): void;

  /** Closes the connection at once; the output ends with `error` if there is one. Idempotent. */
  destroy(error?: Error): void;
}
