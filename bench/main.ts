import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { measureColdStart } from "./cold-start.js";
import { readOptions } from "./options.js";
import { measureAgainstPeer } from "./peer.js";
import { missed, toMarkdown, type Figures } from "./report.js";

/**
 * The benchmark. `npm run bench` measures the cold start; `npm run bench -- --peer` all that docker-cri promises
 * in comparison with cri-dockerd. The figures are printed as tables and written to .bench/ as JSON; what is not
 * as promised makes the exit code 1.
 */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const coldStart = await measureColdStart(options.program);
  const figures: Figures = {
    at: new Date().toISOString(),
    node: process.version,
    cpus: availableParallelism(),
    coldStart,
    ...(options.peer ? { peer: await measureAgainstPeer(options) } : {}),
  };
  const folder = join(import.meta.dirname, "..", ".bench");
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${figures.at.replaceAll(":", "-")}.json`);
  await writeFile(file, `${JSON.stringify(figures, undefined, 2)}\n`);
  process.stdout.write(`${toMarkdown(figures)}\n\n`);
  for (const each of missed(figures)) {
    process.stdout.write(`MISSED: ${each}\n`);
    process.exitCode = 1;
  }
}

await main();
