import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { openLab } from "../docker/lab/index.js";
import { whyLeftOut } from "./left-out.js";
import { openCritest, type Critest, type CritestEngine, type CritestPart, type Spec } from "./run-critest.js";

/** What of critest depends on how images are kept: the rest is not run again for the other store. */
const ofImages =
  /Image (?:Manager|Consistency|Identifier)|Idempotence RemoveImage|Container runtime should support basic operations/;
const ofStreaming = / Streaming /;

interface Run extends CritestPart {
  readonly title: string;
  /** A suite that hardly ran anything has not shown conformance. */
  readonly fewest: number;
}

const whole: readonly Run[] = [
  { title: "passes whole, streaming over SPDY", fewest: 80 },
  { title: "passes its streaming over WebSocket", focus: ofStreaming, webSocket: true, fewest: 5 },
];
const imagesOnly: readonly Run[] = [{ title: "passes what images concerns", focus: ofImages, fewest: 20 }];

const engines: readonly (CritestEngine & { readonly name: string; readonly runs: readonly Run[] })[] = [
  { name: "Docker 20.10", engine: "20.10", containerdStore: false, runs: whole },
  { name: "Docker 26.1", engine: "26.1", containerdStore: false, runs: whole },
  { name: "Docker 26.1 with containerd's store", engine: "26.1", containerdStore: true, runs: imagesOnly },
  { name: "Docker 28", engine: "28", containerdStore: false, runs: whole },
  { name: "Docker 28 with containerd's store", engine: "28", containerdStore: true, runs: imagesOnly },
];

for (const { name, runs, ...engine } of engines) {
  describe(`critest on ${name}`, () => {
    const lab = openLab();
    let critest: Critest;
    before(async () => {
      critest = await openCritest(lab, engine);
    });
    after(() => lab.close());

    for (const { title, fewest, ...part } of runs)
      it(title, async (t) => {
        judge(t, await critest(part), fewest);
      });
  });
}

function judge(t: TestContext, specs: readonly Spec[], fewest: number): void {
  const passed = specs.filter(({ state }) => state === "passed").length;
  const failed = specs.filter(({ state }) => state !== "passed" && state !== "skipped");
  t.diagnostic(`${passed} specs passed, ${failed.length} failed, of ${specs.length}`);
  for (const { name, message } of specs.filter(({ state }) => state === "skipped"))
    t.diagnostic(`left out: ${name}: ${whyLeftOut(name) ?? (message || "critest has it only on request")}`);
  assert.deepEqual(
    failed.map(({ name, state, message }) => `${state}: ${name}: ${message}`),
    [],
  );
  assert.ok(passed >= fewest, `only ${passed} specs passed`);
}
