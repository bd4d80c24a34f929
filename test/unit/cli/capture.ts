import { Writable } from "node:stream";
import { run } from "../../../src/cli/run.js";
import type { Environment } from "../../../src/config/index.js";

/** What a command line printed, and its exit code. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process. */
export async function runCli(args: readonly string[], environment: Environment = {}): Promise<Outcome> {
  const stdout = new Captured();
  const stderr = new Captured();
  const code = await run(args, { stdout, stderr, environment });
  return { code, out: stdout.text, err: stderr.text };
}

/** A stream that keeps what is written to it. */
export class Captured extends Writable {
  text = "";

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
