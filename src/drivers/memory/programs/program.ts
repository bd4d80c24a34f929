import type { Duplex } from "node:stream";

/**
 * An output of a program. The data is copied at once; the promise resolves when the reader can receive more, in a later turn
 * of the event loop, and rejects when the process has ended. Output without a reader is dropped, as in Docker.
 */
export interface ProgramOutput {
  write(data: string | Uint8Array): Promise<void>;
}

/** The input of a program. It can be iterated: `for await (const chunk of process.stdin)`. */
export interface ProgramInput extends AsyncIterable<Uint8Array> {
  /** The next bytes; undefined at the end, such as when a client half-closes its connection. */
  read(): Promise<Uint8Array | undefined>;
  /** The next line without its newline; undefined at the end. */
  readLine(): Promise<string | undefined>;
}

/** The files of a program: those of its image and of its container, and mounted ones of the node. */
export interface ProgramFiles {
  /** @throws An error with the code `ENOENT`, `EISDIR`, … */
  read(path: string): Uint8Array;
  /** @throws An error with the code `EROFS`, `EISDIR`, … */
  write(path: string, content: Uint8Array, options?: { readonly append?: boolean }): void;
}

/** The process of a program: its arguments, streams, files and signals. */
export interface ContainerProcess {
  /** The program's name and its arguments. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly user: string;
  readonly hostname: string;
  /** Its number inside the container: 1 for the first process. */
  readonly pid: number;
  readonly stdin: ProgramInput;
  readonly stdout: ProgramOutput;
  readonly stderr: ProgramOutput;
  /** Whether the streams are a terminal: then there is one output, and input arrives in lines, echoed. */
  readonly tty: boolean;
  /** In columns and rows; undefined before the client has set it. Each change sends SIGWINCH. */
  readonly terminalSize: () => { readonly width: number; readonly height: number } | undefined;
  readonly files: ProgramFiles;
  /**
   * Runs `handler`, which may be async, in place of a signal's default action; undefined restores that. SIGKILL cannot be
   * handled.
   */
  readonly onSignal: (name: string, handler: (() => unknown) | undefined) => void;
  /** Waits; rejects when the process ends. `Infinity` waits for that end. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Ends the process at once with an exit code. */
  readonly exit: (code: number) => void;
  /** Aborts when the process has ended, by a signal or otherwise. */
  readonly signal: AbortSignal;
  /**
   * Listens on a TCP port of the pod, on every address, until the process ends. `onConnection` may be async.
   * @returns Stops listening.
   * @throws An error with the code `EADDRINUSE`.
   */
  readonly listen: (port: number, onConnection: (connection: Duplex) => unknown) => () => void;
}

/**
 * A program is a function. It returns its exit code; nothing means 0. An error that it throws, or
 * that one of its callbacks throws, is printed on stderr and the exit code is 1.
 */
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a program without a return statement is one too
export type Program = (process: ContainerProcess) => number | void | Promise<number | void>;
