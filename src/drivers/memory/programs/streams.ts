import { setImmediate as turn } from "node:timers/promises";
import { bytePipe, type Pipe } from "../pipe.js";
import type { Redirect } from "./command-line.js";
import type { ContainerProcess, ProgramInput, ProgramOutput } from "./program.js";
import { expandWord, type Lookup } from "./words.js";

export type Streams = Pick<ContainerProcess, "stdin" | "stdout" | "stderr">;

/** The reading end of a pipe is closed; corresponds to SIGPIPE. */
export class BrokenPipe extends Error {
  override readonly name = "BrokenPipe";

  constructor() {
    super("broken pipe");
  }
}

/** The reading end of a pipe, for a program. */
export function inputFrom(pipe: Pipe<Uint8Array>): ProgramInput {
  return {
    read: () => pipe.read(),
    readLine: () => readLine(pipe),
    [Symbol.asyncIterator]: () => pipe[Symbol.asyncIterator](),
  };
}

async function readLine(pipe: Pipe<Uint8Array>): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = await pipe.read();
    if (!chunk) return chunks.length > 0 ? Buffer.concat(chunks).toString() : undefined;
    const end = chunk.indexOf(10);
    chunks.push(end < 0 ? chunk : chunk.subarray(0, end));
    if (end < 0) continue;
    if (end + 1 < chunk.length) pipe.unread(chunk.subarray(end + 1));
    return Buffer.concat(chunks).toString();
  }
}

/**
 * An output of a process. Writes reject after the process has exited. Each write yields to the event loop, so that a
 * program that writes in a loop can be killed even if its output has no reader.
 */
export function outputOf(ended: AbortSignal, put: (data: Uint8Array) => void | Promise<void>): ProgramOutput {
  const write = async (data: string | Uint8Array) => {
    ended.throwIfAborted();
    await put(Buffer.from(data));
    await turn();
    ended.throwIfAborted();
  };
  return {
    write: (data) => {
      const written = write(data);
      // A program need not wait for it.
      written.catch(() => undefined);
      return written;
    },
  };
}

/** The writing end of a pipe, for a program of a process. */
export function outputTo(pipe: Pipe<Uint8Array>, ended: AbortSignal): ProgramOutput {
  return outputOf(ended, async (data) => {
    if (pipe.closed) throw new BrokenPipe();
    await pipe.write(data);
  });
}

export const emptyInput = inputOf(new Uint8Array());

function inputOf(data: Uint8Array): ProgramInput {
  const pipe = bytePipe();
  if (data.length > 0) void pipe.write(data);
  pipe.end();
  return inputFrom(pipe);
}

/** The streams of a command after its redirects. @throws An error of the file system. */
export function redirect(
  redirects: readonly Redirect[],
  outer: Streams,
  process: ContainerProcess,
  lookup: Lookup,
): Streams {
  let { stdin, stdout, stderr } = outer;
  for (const { from, to } of redirects) {
    if (typeof to !== "number" && to.mode === "<") {
      const path = expandWord(to.path, lookup);
      stdin = path === "/dev/null" ? emptyInput : inputOf(process.files.read(path));
      continue;
    }
    const target =
      to === 1
        ? stdout
        : to === 2
          ? stderr
          : fileOutput(expandWord(to.path, lookup), to.mode === ">>", process);
    if (from === 2) stderr = target;
    else stdout = target;
  }
  return { stdin, stdout, stderr };
}

function fileOutput(
  path: string,
  append: boolean,
  { files, stdout, stderr, signal }: ContainerProcess,
): ProgramOutput {
  if (path === "/dev/null") return outputOf(signal, () => undefined);
  if (path === "/dev/stdout" || path === "/proc/1/fd/1") return stdout;
  if (path === "/dev/stderr" || path === "/proc/1/fd/2") return stderr;
  files.write(path, new Uint8Array(), { append });
  return outputOf(signal, (data) => {
    files.write(path, data, { append: true });
  });
}
