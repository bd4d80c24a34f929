import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..", "..", "..");

/** What `npm pack`, which builds, needs of the tree. */
const sources = [
  "package.json",
  "tsconfig.json",
  "tsconfig.build.json",
  "src",
  "proto",
  "packaging",
  "scripts",
  "docs",
  "README.md",
  "CHANGELOG.md",
  "LICENSE",
];

/** A place where the package is built, packed and installed, away from the tree: others may be building there. */
export interface Stage extends AsyncDisposable {
  /** The package's sources, built. */
  readonly source: string;
  /** What a registry would be given. */
  readonly tarball: string;
  /** A folder where the packed package is installed, as a user's project would have it. */
  readonly project: string;
  /** The program of the installed package. */
  readonly program: string;
}

/** What a program printed, and its exit code; null when a signal ended it. */
export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Builds the package, packs it, and installs what was packed. Dependencies are the tree's own. */
export async function stagePackage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), "docker-cri-stage-"));
  const source = join(folder, "source");
  const project = join(folder, "project");
  await mkdir(source);
  for (const name of sources) await cp(join(root, name), join(source, name), { recursive: true });
  for (const place of [folder, source])
    await symlink(join(root, "node_modules"), join(place, "node_modules"));
  // Packing builds, as publishing does: nobody has to think of it.
  await succeed(source, "npm", "pack", "--silent", "--pack-destination", folder);
  const installed = join(project, "node_modules", "docker-cri");
  await mkdir(installed, { recursive: true });
  // Without one, Node would look further up for the package that the project's files belong to.
  await writeFile(join(project, "package.json"), '{"private":true,"type":"module"}\n');
  const { version } = JSON.parse(await readFile(join(source, "package.json"), "utf8")) as { version: string };
  const tarball = join(folder, `docker-cri-${version}.tgz`);
  await succeed(folder, "tar", "-xzf", tarball, "--strip-components=1", "-C", installed);
  return {
    source,
    tarball,
    project,
    program: join(installed, "dist", "cli", "docker-cri.cjs"),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Runs a program to its end. */
export function execute(folder: string, file: string, ...args: string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: plainEnvironment(),
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      resolve({ code, out, err });
    });
  });
}

/** Runs a program that must succeed. @throws Error with what it printed. */
export async function succeed(folder: string, file: string, ...args: string[]): Promise<Outcome> {
  const outcome = await execute(folder, file, ...args);
  if (outcome.code !== 0)
    throw new Error(`${file} ${args.join(" ")} ended with ${outcome.code}\n${outcome.out}${outcome.err}`);
  return outcome;
}

/** This process's environment without what the test runner put there for itself. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, ...rest } = process.env;
  return rest;
}
