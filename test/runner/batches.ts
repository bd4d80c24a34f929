import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./compile.js";

/** Reads or changes what all of a process shares: its environment, clocks, heap, timers, listeners, open files. */
const ofWholeProcess =
  /\bprocess\.(?:chdir|cpuUsage|emit|env|getActiveResourcesInfo|memoryUsage|on|once|umask)\b|\bmock\.|\bsetGlobal|\/proc\/self\/fd|support\/(?:event-loop|heap)/;

/** So many files share a process: enough to save most starts, few enough for two CPUs to get equal shares. */
const most = 8;

/**
 * Test files, as paths from the root, in batches that each run in one process: starting Node and loading the code costs
 * more than most files' tests. A file that reads or changes what all of a process shares is a batch of its own.
 */
export function batches(files: readonly string[]): string[][] {
  const alone = files.filter((file) => ofWholeProcess.test(readFileSync(join(root, file), "utf8")));
  const shared = files.filter((file) => !alone.includes(file));
  const result = alone.map((file) => [file]);
  for (let i = 0; i < shared.length; i += most) result.push(shared.slice(i, i + most));
  return result;
}

/** The file to start for a batch, in the folder of the compiled tree. */
export function entryOf(batch: readonly string[], compiled: string): string {
  const [first = "", ...others] = batch.map((file) => join(compiled, file.replace(/ts$/, "js")));
  if (others.length === 0) return first;
  const entry = first.replace(/\.test\.js$/, ".batch.js");
  writeFileSync(entry, [first, ...others].map((file) => `import ${JSON.stringify(file)};\n`).join(""));
  return entry;
}
