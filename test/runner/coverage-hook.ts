import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/**
 * Loaded into each test process: at its end, writes which parts of src have run, for c8. Node's own NODE_V8_COVERAGE would
 * reach every program that a test starts, and most of what it writes is about Node and the libraries. Counting makes code
 * slower, so a test file that measures stops of the event loop runs without.
 */
const compiled = process.env["DOCKER_CRI_COVERAGE"];
const [, testFile = ""] = process.argv;
const measuresTime =
  testFile.endsWith(".test.js") && readFileSync(testFile, "utf8").includes("support/event-loop");
if (compiled !== undefined && !measuresTime) {
  const src = pathToFileURL(join(compiled, "src")).href;
  const session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  process.on("exit", () => {
    session.post("Profiler.takePreciseCoverage", (error, coverage) => {
      const result = error ? [] : coverage.result.filter(({ url }) => url.startsWith(src));
      if (result.length === 0) return;
      const folder = join(compiled, "coverage");
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `coverage-${process.pid}.json`), JSON.stringify({ result }));
    });
  });
}
