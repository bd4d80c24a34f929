#!/usr/bin/env node
import { processEnvironment } from "../config/index.js";
import { exitCodes } from "./exit.js";
import { run } from "./run.js";

// The reader of the output may close it early, as `head` does. That is not a failure.
process.stdout.on("error", () => process.exit(exitCodes.ok));
process.stderr.on("error", () => undefined);

// The bundle is CommonJS, which has no top-level await.
void run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  environment: processEnvironment(),
}).then((code) => {
  process.exitCode = code;
});
