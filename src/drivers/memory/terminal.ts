import type { TerminalSize } from "../../docker/index.js";
import type { Pipe } from "./pipe.js";
import { SIGINT, SIGWINCH } from "./processes/signals.js";

const interrupt = 0x03;
const endOfInput = 0x04;
const backspace = 0x7f;
const carriageReturn = 0x0d;
const newline = 0x0a;
const interruptShown = Buffer.from("^C\r\n");
const erase = Buffer.from("\b \b");

/** A terminal in canonical mode: it echoes input, passes whole lines to programs, and handles Ctrl-C and Ctrl-D. */
export class Terminal {
  /** Undefined until a client sets it. */
  size: TerminalSize | undefined;
  private line: number[] = [];

  /**
   * @param screen Receives the output.
   * @param input The programs' stdin.
   * @param tell Sends a signal to the process in it.
   */
  constructor(
    private readonly screen: (data: Uint8Array) => Promise<void>,
    private readonly input: Pipe<Uint8Array>,
    private readonly tell: (signal: number) => void,
  ) {}

  /** Shows the output of programs. */
  show(data: Uint8Array): Promise<void> {
    return this.screen(withCarriageReturns(Buffer.from(data)));
  }

  resize({ width, height }: TerminalSize): void {
    this.size = { width, height };
    this.tell(SIGWINCH);
  }

  /** Receives typed input. */
  async type(data: Uint8Array): Promise<void> {
    const echo: number[] = [];
    const lines: (Uint8Array | undefined)[] = [];
    for (const byte of data) this.key(byte, echo, lines);
    if (echo.length > 0) await this.screen(Uint8Array.from(echo));
    for (const line of lines) {
      if (line) await this.input.write(line);
      else this.input.end();
    }
  }

  /** @param lines Receives the input for programs; undefined is the end. */
  private key(byte: number, echo: number[], lines: (Uint8Array | undefined)[]): void {
    if (byte === interrupt) {
      this.line = [];
      echo.push(...interruptShown);
      this.tell(SIGINT);
    } else if (byte === endOfInput) {
      lines.push(this.line.length === 0 ? undefined : Uint8Array.from(this.line.splice(0)));
    } else if (byte === carriageReturn || byte === newline) {
      echo.push(carriageReturn, newline);
      lines.push(Uint8Array.from([...this.line.splice(0), newline]));
    } else if (byte === backspace) {
      if (this.line.pop() !== undefined) echo.push(...erase);
    } else {
      echo.push(byte);
      this.line.push(byte);
    }
  }
}

function withCarriageReturns(data: Buffer): Buffer {
  if (!data.includes(newline)) return data;
  const bytes: number[] = [];
  for (const byte of data) {
    if (byte === newline) bytes.push(carriageReturn);
    bytes.push(byte);
  }
  return Buffer.from(bytes);
}
