import { appendFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Writable } from "node:stream";
import { compile, root } from "./runner/compile.js";
import { coverageOf, watchCoverage } from "./runner/coverage.js";
import { command, tests, type Counts, type Found, type Suite } from "./runner/suites.js";

/**
 * Runs the project's suites: `npm test` the ones that need nothing but Node, `npm run test:docker` those with a dockerd,
 * `npm run test:node` the one with a whole machine, `npm run test:cluster` the one with a cluster on one node.
 */

/** Suites that run in turn. The lanes of a group run side by side. */
type Lane = readonly Suite[];

function fastSuites(): Lane[] {
  const single = { concurrency: 1, timeoutMs: 120_000 };
  const quick = { concurrency: availableParallelism(), timeoutMs: 240_000, batched: true };
  const packed = { concurrency: 1, timeoutMs: 300_000 };
  return [
    [tests("unit", quick), tests("wire", quick)],
    // The longest of those that use one CPU.
    [command("lint", "eslint", ".", "--max-warnings", "0")],
    [
      command("types", "../typescript-native/bin/tsc", "--noEmit"),
      tests("package", packed),
      tests("architecture", single),
      tests("contract", single),
      command("format", "prettier", "--check", "."),
    ],
  ];
}

function dockerSuites(): Lane[] {
  // One at a time: each starts a dockerd, and the machine may be small.
  const slow = { concurrency: 1, timeoutMs: 1_200_000 };
  return [["docker", "kubelet", "conformance"].map((name) => tests(name, slow))];
}

function nodeSuites(): Lane[] {
  return [[tests("node", { concurrency: 1, timeoutMs: 3_600_000 })]];
}

function clusterSuites(): Lane[] {
  const slow = { concurrency: 1, timeoutMs: 7_200_000 };
  return [["cluster", "node-e2e"].map((name) => tests(name, slow))];
}

/** Keeps what is written to it, so that suites that run side by side do not mix their lines. */
class Kept extends Writable {
  readonly #chunks: Uint8Array[] = [];

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(chunk);
    done();
  }

  take(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

interface Outcome {
  readonly found: Found;
  /** The suite's counts and its time. */
  readonly line: string;
}

async function runLane(lane: Lane, alone: boolean, compiled: string): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const suite of lane) {
    const began = Date.now();
    const kept = alone ? undefined : new Kept();
    if (!kept) process.stdout.write(`\n== ${suite.name}\n`);
    const found = await suite.run(kept ?? process.stdout, compiled);
    const line = `${suite.name}: ${say(found)} (${((Date.now() - began) / 1000).toFixed(1)} s)`;
    if (kept) {
      process.stdout.write(`\n== ${suite.name}\n`);
      process.stdout.write(kept.take());
    }
    process.stdout.write(`${line}\n`);
    outcomes.push({ found, line });
  }
  return outcomes;
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
  const lanes = all
    .map((lane) => lane.filter((suite) => only.length === 0 || only.includes(suite.name)))
    .filter((lane) => lane.length > 0);
  await using compiled = await compile();
  const alone = lanes.length === 1;
  const measured = group === undefined;
  if (measured) watchCoverage(compiled.folder);
  const outcomes = (await Promise.all(lanes.map((lane) => runLane(lane, alone, compiled.folder)))).flat();
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { found } of outcomes)
    for (const key of ["passed", "failed", "skipped"] as const) total[key] += found[key];
  if (measured) process.stdout.write(await coverageOf(compiled.folder));
  // Repeated at the end, where a reader of a long output looks.
  const remarks = outcomes.flatMap(({ found }) => found.remarks);
  const lines = outcomes.map(({ line }) => line);
  process.stdout.write(`\n${[...remarks, "", ...lines, say(total)].join("\n")}\n`);
  const results = process.env["DOCKER_CRI_TEST_RESULTS"];
  if (results) appendFileSync(results, `${JSON.stringify(total)}\n`);
  process.exitCode = total.failed === 0 && lanes.length > 0 ? 0 : 1;
}

// Stack traces name the sources.
process.env["NODE_OPTIONS"] = `${process.env["NODE_OPTIONS"] ?? ""} --enable-source-maps`.trim();
process.chdir(root);
await main();
