import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { holds } from "./marks.js";
import { readOptions } from "./options.js";
import { measurePart, type Measured } from "./parts.js";

/**
 * The benchmark. `npm run bench` measures the start; `npm run bench -- --peer` all that docker-cri promises in
 * comparison with cri-dockerd. Each part is printed when it is done, and all figures are written to .bench/ as JSON.
 * A mark that is missed, and a part that fails, make the exit code 1.
 */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const at = new Date().toISOString();
  say(`Measured at ${at} with Node ${process.version} on ${availableParallelism()} cores, load ${load()}.`);
  const measured: Record<string, Measured> = {};
  for (const part of options.parts) {
    try {
      const result = await measurePart(part, options);
      measured[part] = result;
      say(result.markdown);
    } catch (error) {
      process.exitCode = 1;
      process.stderr.write(`${part} could not be measured: ${String(error)}\n`);
    }
  }
  const folder = join(import.meta.dirname, "..", ".bench");
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${at.replaceAll(":", "-")}.json`);
  const run = {
    at,
    node: process.version,
    cpus: availableParallelism(),
    loadAtEnd: load(),
    options,
    measured,
  };
  await writeFile(file, `${JSON.stringify(run, undefined, 2)}\n`);
  say(`The figures are in ${file}, the load is ${load()}.`);
  for (const { what, value, most } of Object.values(measured).flatMap(({ marks }) => marks.filter(missed))) {
    say(`MISSED: ${what}: ${value.toFixed(3)}, not ${most}`);
    process.exitCode = 1;
  }
}

function missed(mark: Measured["marks"][number]): boolean {
  return !holds(mark);
}

/** How many wait for a core, in the last one, five and fifteen minutes: figures of a busy machine are worth less. */
function load(): string {
  return loadavg()
    .map((value) => value.toFixed(1))
    .join(", ");
}

function say(text: string): void {
  process.stdout.write(`${text}\n\n`);
}

await main();
