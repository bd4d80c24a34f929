import type { Writable } from "node:stream";
import type { Environment } from "../config/index.js";

/** What a command has of the world around it. */
export interface Io {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly environment: Environment;
}

/** Writes a line. */
export function say(stream: Writable, line = ""): void {
  stream.write(`${line}\n`);
}
