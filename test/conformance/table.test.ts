import assert from "node:assert/strict";
import { it } from "node:test";
import type { Spec } from "./run-critest.js";
import { critestTable } from "./table.js";

it("has a row for each spec of any runtime, below its group, and each reason once", () => {
  const spec = (group: string, name: string, state: string, message = ""): Spec => ({
    group,
    name,
    state,
    message,
  });
  const one = [spec("Pod", "runs", "passed"), spec("Image", "is listed", "skipped", "no registry")];
  const other = [
    spec("Image", "is removed", "panicked", "boom"),
    spec("Image", "is listed", "passed"),
    spec("Pod", "ends", "skipped", "no registry"),
    spec("Pod", "runs", "skipped", "no network"),
  ];
  assert.deepEqual(
    critestTable([
      { runtime: "one", specs: one },
      { runtime: "other", specs: other },
    ]),
    {
      rows: [
        ["", "one", "other"],
        ["**Image**", "", ""],
        ["is listed", "skip 1", "✓"],
        ["is removed", "", "✗"],
        ["**Pod**", "", ""],
        ["ends", "", "skip 1"],
        ["runs", "✓", "skip 2"],
        ["**Passed, failed, skipped**", "1, 0, 1", "1, 1, 2"],
      ],
      reasons: [
        ["", "Why critest skips"],
        ["1", "no registry"],
        ["2", "no network"],
      ],
    },
  );
});
