import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "./compile.js";

/** Has the test processes that start from now on write which parts of src have run. */
export function watchCoverage(compiled: string): void {
  const hook = join(compiled, "test", "runner", "coverage-hook.js");
  process.env["DOCKER_CRI_COVERAGE"] = compiled;
  process.env["NODE_OPTIONS"] = `${process.env["NODE_OPTIONS"] ?? ""} --import ${hook}`.trim();
}

/** c8's summary of what the tests have run of src: a figure, not a gate. Empty when no test has run any of it. */
export async function coverageOf(compiled: string): Promise<string> {
  const written = join(compiled, "coverage");
  if (!existsSync(written)) return "";
  const { NODE_OPTIONS: _forTests, ...env } = process.env;
  const args = [
    "report",
    "--temp-directory",
    written,
    "--all",
    "--include",
    "src/**",
    "--reporter",
    "text-summary",
  ];
  const c8 = join(root, "node_modules", ".bin", "c8");
  const { stdout } = await promisify(execFile)(c8, args, { cwd: compiled, env });
  return `\n== coverage of src by these suites\n${stdout}`;
}
