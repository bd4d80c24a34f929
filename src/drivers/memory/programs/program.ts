/** Where a program writes. The bytes are taken at once; the promise holds a program back that is too fast. */
export interface ProgramOutput {
  write(data: string | Uint8Array): Promise<void>;
}

/** Where a program reads. */
export interface ProgramInput {
  /** The next bytes; undefined at the end. */
  read(): Promise<Uint8Array | undefined>;
  /** Puts bytes back in front. */
  unread(data: Uint8Array): void;
}

/** The files that a program sees. */
export interface ProgramFiles {
  /** @throws An error with the code `ENOENT`, `EISDIR`, … */
  read(path: string): Uint8Array;
  /** @throws An error with the code `EROFS`, `EISDIR`, … */
  write(path: string, content: Uint8Array, options?: { readonly append?: boolean }): void;
}

/** The world of a program: all that it can see and do. */
export interface ProgramIo {
  /** The program's own name first. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly user: string;
  readonly hostname: string;
  /** Its number inside the container: 1 for the first process. */
  readonly pid: number;
  readonly tty: boolean;
  /** Of the terminal, once it was set; a change comes with SIGWINCH. */
  readonly terminalSize: () => { readonly width: number; readonly height: number } | undefined;
  readonly stdin: ProgramInput;
  readonly stdout: ProgramOutput;
  readonly stderr: ProgramOutput;
  readonly files: ProgramFiles;
  /** Aborts when the process has ended, by a signal or otherwise. */
  readonly signal: AbortSignal;
  /** Waits; rejects when the process ends. `Infinity` waits for that end. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Runs `handler` in place of a signal's default action; undefined takes it back. */
  readonly onSignal: (name: string, handler: (() => void) | undefined) => void;
  /** Ends the whole process at once, as _exit does. */
  readonly exit: (code: number) => void;
  /** Sends a signal to a process of the container. @returns False when there is no such process. */
  readonly kill: (pid: number, signal: number) => boolean;
}

/** Runs in a container's process; its answer is the exit code. A rejection is exit code 1 and a line on stderr. */
export type Program = (io: ProgramIo) => number | Promise<number>;
