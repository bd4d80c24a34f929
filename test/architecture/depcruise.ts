import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

export const root = join(import.meta.dirname, "..", "..");

/** A rule that an import breaks. */
export interface Violation {
  readonly rule: string;
  readonly from: string;
  readonly to: string;
}

interface Report {
  readonly modules: readonly unknown[];
  readonly summary: {
    readonly violations: readonly { rule: { name: string }; from: string; to: string }[];
  };
}

/** Holds the imports below `folder`/src to the project's table. */
export async function checkImports(folder: string): Promise<{ modules: number; violations: Violation[] }> {
  const command = join(root, "node_modules", ".bin", "depcruise");
  const config = join(root, ".dependency-cruiser.cjs");
  const args = ["--config", config, "--output-type", "json", "src"];
  const options = { cwd: folder, maxBuffer: 256 * 1024 * 1024 };
  const { stdout } = await promisify(execFile)(command, args, options).catch((error: unknown) => {
    // Its exit code is the number of violations.
    const { stdout = "" } = error as { stdout?: string };
    if (stdout.startsWith("{")) return { stdout };
    throw error;
  });
  const report = JSON.parse(stdout) as Report;
  return {
    modules: report.modules.length,
    violations: report.summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to })),
  };
}
