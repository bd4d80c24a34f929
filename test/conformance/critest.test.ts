import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openLab } from "../docker/lab/index.js";
import { whyLeftOut } from "./left-out.js";
import { runCritest, type CritestOptions } from "./run-critest.js";

/** What of critest depends on how images are kept: the rest is not run a third time. */
const ofImages =
  /Image (?:Manager|Consistency|Identifier)|Idempotence RemoveImage|Container runtime should support basic operations/;

/** @param fewest A suite that hardly ran anything has not shown conformance. */
const runs: readonly [title: string, options: CritestOptions, fewest: number][] = [
  ["Docker 20.10", { engine: "20.10", containerdStore: false }, 80],
  ["Docker 26.1", { engine: "26.1", containerdStore: false }, 80],
  ["Docker 26.1 with containerd's store", { engine: "26.1", containerdStore: true, focus: ofImages }, 20],
];

describe("critest", () => {
  for (const [title, options, fewest] of runs) {
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
      assert.ok(passed >= fewest, `only ${passed} specs passed`);
    });
  }
});
