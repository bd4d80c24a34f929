import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createTestShim } from "../../../src/testing/index.js";

const docs = join(import.meta.dirname, "..", "..", "..", "docs");

describe("docs/observability.md", () => {
  it("lists the metrics with their types and texts", async () => {
    await using lab = await createTestShim({ metrics: { address: "127.0.0.1:0" } });
    const text = (await lab.shim.metrics?.text()) ?? "";
    const types = new Map(
      [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]) => [name, type]),
    );
    const shown = [...text.matchAll(/^# HELP (docker_cri_\S+) (.*)$/gm)].map(([, name = "", help]) => [
      name,
      types.get(name),
      help,
    ]);
    const table = [
      ...readFileSync(join(docs, "observability.md"), "utf8").matchAll(
        /^\| `(docker_cri_\w+)` *\| (\w+) *\|[^|]*\| (.*?) *\|$/gm,
      ),
    ].map(([, ...cells]) => cells);
    assert.ok(table.length > 15);
    assert.deepEqual(table.sort(), shown.sort());
  });
});
