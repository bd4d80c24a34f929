import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { describe, it } from "node:test";
import { buf, repositoryRoot, temporaryFolder } from "./buf.js";
import { differences, type Statements } from "./statements.js";

describe("proto", () => {
  it("passes buf lint", () => buf("lint"));

  it("is formatted as buf format does", () => buf("format", "--diff", "--exit-code"));
});

describe("src/gen", () => {
  it("equals the output of the generator", async () => {
    await using fresh = await temporaryFolder();
    await buf("generate", "--output", fresh.path);

    const committed = await filesIn(join(repositoryRoot, "src/gen"));
    const generated = await filesIn(join(fresh.path, "src/gen"));

    const { missing, extra } = differences(generated, committed);
    const outdated = [...generated.keys()].filter(
      (path) => committed.has(path) && committed.get(path) !== generated.get(path),
    );
    assert.deepEqual(
      { missing, extra, outdated },
      { missing: [], extra: [], outdated: [] },
      `src/gen is stale: run \`npm run generate\` and commit the result. ` +
        `Files ${JSON.stringify({ missing, extra, outdated })}`,
    );
  });
});

/** Every file below a folder, by its path from there. */
async function filesIn(folder: string): Promise<Statements> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map(async (path) => [relative(folder, path), await readFile(path, "utf8")] as const);
  return new Map(await Promise.all(files));
}
