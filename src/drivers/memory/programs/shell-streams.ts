import { bytePipe } from "../pipe.js";
import type { ProgramInput, ProgramIo, ProgramOutput } from "./program.js";
import type { Redirect } from "./shell-tree.js";
import type { Streams } from "./shell.js";
import { expandWord, type Variables } from "./shell-words.js";

/** Nothing ever comes out of it. */
export const emptyInput: ProgramInput = { read: () => Promise.resolve(undefined), unread: () => undefined };

const nowhere: ProgramOutput = { write: () => Promise.resolve() };

/** What printing to a pipe whose reader has gone does to a program: SIGPIPE. */
export class BrokenPipe extends Error {
  override readonly name = "BrokenPipe";
}

/** Keeps what is written. */
export class OutputText implements ProgramOutput {
  private readonly chunks: Uint8Array[] = [];

  write(data: string | Uint8Array): Promise<void> {
    this.chunks.push(Buffer.from(data));
    return Promise.resolve();
  }

  toString(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

/** A pipe between two programs of a pipeline. */
export class ProgramPipe {
  private readonly pipe = bytePipe();

  readonly input: ProgramInput = this.pipe;

  readonly output: ProgramOutput = {
    write: async (data) => {
      if (this.pipe.closed) throw new BrokenPipe("nobody reads the pipe");
      await this.pipe.write(Buffer.from(data));
    },
  };

  /** The writer has ended. */
  endOutput(): void {
    this.pipe.end();
  }

  /** The reader has ended. */
  endInput(): void {
    this.pipe.cancel();
  }
}

/** The streams of a command after its redirections. @throws An error of the file system. */
export async function redirect(
  redirects: readonly Redirect[],
  outer: Streams,
  variables: Variables,
  io: Pick<ProgramIo, "files" | "stdout" | "stderr">,
): Promise<Streams> {
  let { stdin, stdout, stderr } = outer;
  for (const { from, to } of redirects) {
    if (to.kind === "stream") {
      const target = to.number === 1 ? stdout : stderr;
      if (from === 2) stderr = target;
      else stdout = target;
      continue;
    }
    const path = await expandWord(to.path, variables);
    if (to.mode === "read") stdin = fileInput(path, io);
    else if (from === 2) stderr = fileOutput(path, to.mode === "append", io);
    else stdout = fileOutput(path, to.mode === "append", io);
  }
  return { stdin, stdout, stderr };
}

function fileInput(path: string, { files }: Pick<ProgramIo, "files">): ProgramInput {
  if (path === "/dev/null") return emptyInput;
  const pipe = bytePipe();
  void pipe.write(files.read(path));
  pipe.end();
  return pipe;
}

function fileOutput(
  path: string,
  append: boolean,
  { files, stdout, stderr }: Pick<ProgramIo, "files" | "stdout" | "stderr">,
): ProgramOutput {
  if (path === "/dev/null") return nowhere;
  if (path === "/dev/stdout" || path === "/proc/1/fd/1") return stdout;
  if (path === "/dev/stderr" || path === "/proc/1/fd/2") return stderr;
  files.write(path, new Uint8Array(), { append });
  return {
    write: (data) => {
      files.write(path, Buffer.from(data), { append: true });
      return Promise.resolve();
    },
  };
}
