import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openLab } from "../docker/lab/index.js";
import { whyLeftOut } from "./left-out.js";
import { runCritest } from "./run-critest.js";

/** A suite that hardly ran anything has not shown conformance. */
const fewestSpecs = 80;

describe("critest", () => {
  for (const [title, options] of [
    ["Docker 20.10", { engine: "20.10", containerdStore: false }],
    ["Docker 26.1", { engine: "26.1", containerdStore: false }],
  ] as const) {
    it(`passes on ${title}`, async (t) => {
      await using lab = openLab();
      const specs = await runCritest(lab, options);
      const passed = specs.filter(({ state }) => state === "passed").length;
      const failed = specs.filter(({ state }) => state !== "passed" && state !== "skipped");
      t.diagnostic(`${title}: ${passed} specs passed, ${failed.length} failed, of ${specs.length}`);
      for (const { name, message } of specs.filter(({ state }) => state === "skipped")) {
        t.diagnostic(
          `left out: ${name}: ${whyLeftOut(name) ?? (message || "critest has it only on request")}`,
        );
      }
      assert.deepEqual(
        failed.map(({ name, state, message }) => `${state}: ${name}: ${message}`),
        [],
      );
      assert.ok(passed >= fewestSpecs, `only ${passed} specs passed`);
    });
  }
});
