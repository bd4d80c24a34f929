import { spawn } from "node:child_process";
import { setPriority } from "node:os";
import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import type { Writable } from "node:stream";
import { inspect } from "node:util";
import { batches, entryOf } from "./batches.js";
import { filesBelow, root } from "./compile.js";

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** What a suite found: its counts, and the tests that a reader of the last lines must know about. */
export interface Found extends Counts {
  /** Each test that failed or was skipped, with the reason. */
  readonly remarks: string[];
}

/** So much of an error, in characters, is repeated at the end. */
const remarkLength = 2_000;

export interface Suite {
  readonly name: string;
  /** Runs the suite and prints what it finds. `compiled` is the folder of the compiled tree. */
  readonly run: (output: Writable, compiled: string) => Promise<Found>;
}

/** A command that passes or fails as a whole. */
export function command(name: string, file: string, ...args: string[]): Suite {
  return {
    name,
    run: (output) =>
      new Promise((resolve, reject) => {
        const program = join(root, "node_modules", ".bin", file);
        const { NODE_OPTIONS: _forTests, ...env } = process.env;
        const child = spawn(program, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
        // Tests of time limits run beside it.
        if (child.pid !== undefined) setPriority(child.pid, 10);
        child.stdout.pipe(output, { end: false });
        child.stderr.pipe(output, { end: false });
        child.on("error", reject);
        child.on("close", (code) => {
          const passed = code === 0 ? 1 : 0;
          const remarks = passed ? [] : [`failed: ${file} ended with ${String(code)}`];
          resolve({ passed, failed: 1 - passed, skipped: 0, remarks });
        });
      }),
  };
}

interface TestSuiteOptions {
  /** So many processes run at a time. */
  readonly concurrency: number;
  /** Of a process. */
  readonly timeoutMs: number;
  /** Several files run in one process. */
  readonly batched?: boolean;
}

/** The suite of the test files below `test/NAME`. */
export function tests(name: string, { concurrency, timeoutMs, batched = false }: TestSuiteOptions): Suite {
  return {
    name,
    run: (output, compiled) =>
      new Promise((resolve, reject) => {
        const found: Found = { passed: 0, failed: 0, skipped: 0, remarks: [] };
        const files = filesBelow(join("test", name), ".test.ts");
        const stream = run({
          files: (batched ? batches(files) : files.map((file) => [file])).map((batch) =>
            entryOf(batch, compiled),
          ),
          concurrency,
          timeout: timeoutMs,
        });
        stream.on("test:pass", (event) => {
          if (event.details.type === "suite") return;
          if (event.skip === undefined) found.passed++;
          else {
            found.skipped++;
            found.remarks.push(`skipped: ${event.name}: ${String(event.skip)}`);
          }
        });
        stream.on("test:fail", (event) => {
          if (event.details.type === "suite") return;
          found.failed++;
          const error = inspect(event.details.error.cause).slice(0, remarkLength);
          found.remarks.push(`failed: ${event.name}\n${error.replaceAll(/^/gm, "  ")}`);
        });
        const report = new spec();
        stream.on("error", reject).pipe(report);
        report.on("error", reject);
        report.on("end", () => {
          // A suite that ran nothing has not shown anything.
          if (found.passed + found.failed + found.skipped === 0) found.failed = 1;
          output.write("\n");
          resolve(found);
        });
        report.pipe(output, { end: false });
      }),
  };
}
