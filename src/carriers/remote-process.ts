import { once } from "node:events";
import { PassThrough, Writable, type Readable } from "node:stream";
import { messageOf, ShimError } from "../base/index.js";
import type { ProcessIo } from "./process-io.js";
import type { TerminalSize } from "./terminal-size.js";

/**
 * A process in a container, as Node streams. Read both outputs, or call `resume()` on the one of no interest: the
 * process is held back while output waits.
 */
export interface RemoteProcess extends AsyncDisposable {
  /** Ending it closes the process's stdin. Without stdin it takes nothing. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /**
   * The exit code, once all output was read; of an attach, 0 once the container's output has ended.
   * Rejects with a ShimError when the process could not be run or its connection was lost.
   */
  readonly exitCode: Promise<number>;
  /** Sets the size of the terminal; the latest counts. */
  resize(size: TerminalSize): void;
  /** Leaves: an exec's process and its children are ended, an attached container runs on. Idempotent. */
  close(): Promise<void>;
}

/** Takes output; resolves when more may come. */
export type PutOutput = (stream: "stdout" | "stderr", data: Uint8Array) => Promise<void>;

/** A process of which the output is handed over. */
export interface ProcessSource extends Omit<ProcessIo, "output"> {
  /** Hands all output over, until the process has closed it. */
  readonly readOutput: (put: PutOutput) => Promise<void>;
}

/** Shows a process as Node streams. */
export function remoteProcess(io: ProcessSource, operation: string): RemoteProcess {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
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
  // A process that does not read its stdin any more is no failure of the session.
  stdin.on("error", () => undefined);
  const exitCode = (async () => {
    try {
      await io.readOutput((stream, data) => put(stream === "stdout" ? stdout : stderr, data));
      const result = await io.result();
      if ("failure" in result)
        throw new ShimError("internal", `${operation}: ${result.failure}`, { operation });
      stdout.end();
      stderr.end();
      return result.exitCode;
    } catch (error) {
      const failure =
        error instanceof ShimError
          ? error
          : new ShimError("unavailable", `${operation}: ${messageOf(error)}`, { operation, cause: error });
      for (const stream of [stdout, stderr]) {
        stream.once("error", () => undefined);
        stream.destroy(failure);
      }
      throw failure;
    } finally {
      stdin.destroy();
    }
  })();
  exitCode.catch(() => undefined);
  const close = () => io.abandon();
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
  if (stream.destroyed || stream.write(data)) return;
  const closed = new AbortController();
  const onClose = () => {
    closed.abort();
  };
  stream.once("close", onClose);
  try {
    await once(stream, "drain", { signal: closed.signal });
  } catch {
    // It was closed meanwhile.
  } finally {
    stream.off("close", onClose);
  }
}
