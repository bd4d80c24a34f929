import { PassThrough, Writable, type Readable } from "node:stream";
import { messageOf, ShimError, whenSent } from "../base/index.js";
import type { ProcessIo } from "./process-io.js";
import type { TerminalSize } from "./terminal-size.js";

/**
 * A process in a container, as Node streams. Read both outputs, or call `resume()` on one that you do not need:
 * unread output blocks the process.
 */
export interface RemoteProcess extends AsyncDisposable {
  /** Ending it closes the process's stdin. Without stdin it discards what is written. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /**
   * The exit code, once all output was read; of an attach, 0 once the container's output has ended.
   * Rejects with a ShimError when the process could not be run or its connection was lost; "cancelled" after `close`.
   */
  readonly exitCode: Promise<number>;
  /** Sets the size of the terminal; the latest counts. */
  resize(size: TerminalSize): void;
  /** Disconnects: the process of an exec is killed with its children, an attached container runs on. Idempotent. */
  close(): Promise<void>;
}

/** Wraps a process in Node streams. It is abandoned when its output cannot be read to the end. */
export function remoteProcess(io: ProcessIo, operation: string): RemoteProcess {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const failOutput = (failure: ShimError) => {
    for (const stream of [stdout, stderr]) stream.once("error", () => undefined).destroy(failure);
  };
  const stdin = new Writable({
    write: (data: Buffer, _encoding, done) => {
      io.write(data).then(() => {
        done();
      }, done);
    },
    final: (done) => {
      io.endInput();
      done();
    },
  });
  // That the process no longer reads its stdin is no failure of the session.
  stdin.on("error", () => undefined);
  let hasEnded = false;
  let closed: ShimError | undefined;
  const exitCode = (async () => {
    try {
      await io.readOutput((stream, data) => put(stream === "stdout" ? stdout : stderr, data));
      const result = await io.result();
      if (closed) throw closed;
      if ("failure" in result)
        throw new ShimError("internal", `${operation}: ${result.failure}`, { operation });
      hasEnded = true;
      stdout.end();
      stderr.end();
      return result.exitCode;
    } catch (error) {
      const failure =
        closed ??
        (error instanceof ShimError
          ? error
          : new ShimError("unavailable", `${operation}: ${messageOf(error)}`, { operation, cause: error }));
      failOutput(failure);
      await io.abandon();
      throw failure;
    } finally {
      stdin.destroy();
    }
  })();
  exitCode.catch(() => undefined);
  const close = async () => {
    if (hasEnded) return;
    closed ??= new ShimError("cancelled", `${operation}: it was closed by its user`, { operation });
    // Also a reader that is not there must not hold it up.
    failOutput(closed);
    await io.abandon();
  };
  return {
    stdin,
    stdout,
    stderr,
    exitCode,
    resize: (size) => {
      io.resize(size);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Output without a reader is dropped. */
async function put(stream: PassThrough, data: Uint8Array): Promise<void> {
  if (!stream.destroyed && !stream.write(data)) await whenSent(stream);
}
