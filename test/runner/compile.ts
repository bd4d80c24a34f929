import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";

export const root = join(import.meta.dirname, "..", "..");

/** The tree as JavaScript, in a folder of its own; disposing removes it. */
export interface Compiled extends AsyncDisposable {
  readonly folder: string;
}

/** A compiled file looks for what is beside it, such as fixtures and docs, where its source is. */
const placeOfSource: Plugin = {
  name: "place-of-source",
  setup(build) {
    build.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      if (!text.includes("import.meta")) return { contents: text, loader: "ts" };
      const meta = { dirname: dirname(path), filename: path, url: pathToFileURL(path).href };
      const contents = `Object.assign(import.meta, ${JSON.stringify(meta)}); ${text}`;
      return { contents, loader: "ts" };
    });
  },
};

/**
 * Compiles the tree file by file. Each test file runs in a process of its own, and compiling in each of them costs more
 * than the tests.
 */
export async function compile(): Promise<Compiled> {
  const folder = await mkdtemp(join(tmpdir(), "docker-cri-tests-"));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await writeFile(join(folder, "package.json"), '{"type":"module"}\n');
  await build({
    entryPoints: ["src", "scripts", "bench", "test"].flatMap((name) => filesBelow(name, ".ts")),
    outbase: root,
    outdir: folder,
    absWorkingDir: root,
    format: "esm",
    platform: "node",
    target: "node20.19",
    sourcemap: true,
    sourcesContent: false,
    logLevel: "warning",
    plugins: [placeOfSource],
  });
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/** The files below a folder of the tree whose names end so, sorted; paths from the root. */
export function filesBelow(folder: string, end: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(end))
    .map((file) => join(folder, file))
    .sort();
}
