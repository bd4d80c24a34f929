import type { Writable } from "node:stream";
import type { Environment } from "../config/index.js";

/** The input and output of a command. */
export interface Io {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly environment: Environment;
}

/** Writes a line. */
export function say(stream: Writable, line = ""): void {
  stream.write(`${line}\n`);
}
