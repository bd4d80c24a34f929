import { spawn } from "node:child_process";
import { appendFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { inspect } from "node:util";

/**
 * Runs the project's suites: `npm test` the ones that need nothing but Node, `npm run test:docker` those with a dockerd,
 * `npm run test:node` the one with a whole machine, `npm run test:cluster` the one with a cluster on one node.
 */

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** What a suite found: its counts, and the tests that a reader of the last lines must know about. */
interface Found extends Counts {
  /** Each test that failed or was skipped, with the reason. */
  readonly remarks: string[];
}

/** So much of an error, in characters, is told once more at the end. */
const remarkLength = 2_000;

interface Suite {
  readonly name: string;
  /** Runs the suite and prints what it finds. */
  readonly run: () => Promise<Found>;
}

const root = join(import.meta.dirname, "..");

/** A command that passes or fails as a whole. */
function command(name: string, file: string, ...args: string[]): Suite {
  return {
    name,
    run: () =>
      new Promise((resolve, reject) => {
        const child = spawn(join(root, "node_modules", ".bin", file), args, { cwd: root, stdio: "inherit" });
        child.on("error", reject);
        child.on("close", (code) => {
          const passed = code === 0 ? 1 : 0;
          const remarks = passed ? [] : [`failed: ${file} ended with ${String(code)}`];
          resolve({ passed, failed: 1 - passed, skipped: 0, remarks });
        });
      }),
  };
}

/** The test files below a folder. */
function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => join(root, folder, file))
    .sort();
}

interface TestSuiteOptions {
  readonly concurrency: number;
  readonly timeoutMs: number;
}

/** The suite of the test files below `test/NAME`. */
function tests(name: string, options: TestSuiteOptions): Suite {
  return {
    name,
    run: () =>
      new Promise((resolve, reject) => {
        const counts: Found = { passed: 0, failed: 0, skipped: 0, remarks: [] };
        const stream = run({
          files: filesBelow(`test/${name}`),
          concurrency: options.concurrency,
          timeout: options.timeoutMs,
        });
        stream.on("test:pass", (event) => {
          if (event.details.type === "suite") return;
          if (event.skip === undefined) counts.passed++;
          else {
            counts.skipped++;
            counts.remarks.push(`skipped: ${event.name}: ${String(event.skip)}`);
          }
        });
        stream.on("test:fail", (event) => {
          if (event.details.type === "suite") return;
          counts.failed++;
          const error = inspect(event.details.error.cause).slice(0, remarkLength);
          counts.remarks.push(`failed: ${event.name}\n${error.replaceAll(/^/gm, "  ")}`);
        });
        const report = new spec();
        stream.on("error", reject).pipe(report);
        report.on("error", reject);
        report.on("end", () => {
          // A suite that ran nothing has not shown anything.
          if (counts.passed + counts.failed + counts.skipped === 0) counts.failed = 1;
          process.stdout.write("\n");
          resolve(counts);
        });
        report.pipe(process.stdout, { end: false });
      }),
  };
}

function fastSuites(): Suite[] {
  const quick = { concurrency: 2, timeoutMs: 120_000 };
  return [
    command("types", "tsc", "--noEmit"),
    command("lint", "eslint", ".", "--max-warnings", "0"),
    command("format", "prettier", "--check", "."),
    tests("architecture", quick),
    tests("contract", quick),
    tests("unit", quick),
    tests("wire", quick),
    tests("package", { ...quick, concurrency: 1 }),
    tests("examples", { ...quick, concurrency: 1 }),
  ];
}

function dockerSuites(): Suite[] {
  // One at a time: each starts a dockerd, and the machine may be small.
  const slow = { concurrency: 1, timeoutMs: 1_200_000 };
  return ["docker", "kubelet", "conformance"].map((name) => tests(name, slow));
}

function nodeSuites(): Suite[] {
  return [tests("node", { concurrency: 1, timeoutMs: 3_600_000 })];
}

function clusterSuites(): Suite[] {
  return [tests("cluster", { concurrency: 1, timeoutMs: 3_600_000 })];
}

function say(counts: Counts): string {
  return `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
}

async function main(): Promise<void> {
  const names = process.argv.slice(2);
  const groups = new Map([
    ["docker", dockerSuites],
    ["node", nodeSuites],
    ["cluster", clusterSuites],
  ]);
  const group = groups.get(names[0] ?? "");
  const all = (group ?? fastSuites)();
  const only = group ? names.slice(1) : names;
  const suites = only.length === 0 ? all : all.filter((suite) => only.includes(suite.name));
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  const lines: string[] = [];
  const remarks: string[] = [];
  for (const suite of suites) {
    const began = Date.now();
    process.stdout.write(`\n== ${suite.name}\n`);
    const counts = await suite.run();
    remarks.push(...counts.remarks);
    for (const key of ["passed", "failed", "skipped"] as const) total[key] += counts[key];
    lines.push(`${suite.name}: ${say(counts)} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    process.stdout.write(`${lines.at(-1)}\n`);
  }
  // Repeated at the end, where a reader of a long output looks.
  process.stdout.write(`\n${[...remarks, "", ...lines, say(total)].join("\n")}\n`);
  const results = process.env["DOCKER_CRI_TEST_RESULTS"];
  if (results) appendFileSync(results, `${JSON.stringify(total)}\n`);
  process.exitCode = total.failed === 0 && suites.length > 0 ? 0 : 1;
}

// The test files are TypeScript: their processes need the loader that this one runs under.
process.env["NODE_OPTIONS"] = `${process.env["NODE_OPTIONS"] ?? ""} --import tsx`.trim();
process.chdir(root);
await main();
