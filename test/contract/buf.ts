import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Root of the repository, where buf.yaml and buf.gen.yaml are. */
export const repositoryRoot = join(import.meta.dirname, "../..");

/**
 * Runs the buf that the package pins.
 * @throws Error with buf's own findings when it reports any.
 */
export async function buf(...args: readonly string[]): Promise<void> {
  const program = join(repositoryRoot, "node_modules/.bin/buf");
  try {
    await run(program, args, { cwd: repositoryRoot });
  } catch (error) {
    throw new Error(`buf ${args.join(" ")} failed:\n${outputOf(error)}`, { cause: error });
  }
}

/** A folder for the time of one test: `await using folder = await temporaryFolder()`. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "docker-cri-contract-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function outputOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { stdout, stderr } = error as Error & { stdout?: string; stderr?: string };
  return [stdout, stderr].filter(Boolean).join("\n") || error.message;
}
