import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { openLab, withLab } from "../docker/lab/index.js";
import {
  openContainerdCritest,
  openCriDockerdCritest,
  openCritest,
  type Critest,
  type CritestEngine,
  type CritestPart,
  type Spec,
} from "./run-critest.js";
import { writeCritestTables, type Column } from "./table.js";

const ofStreaming = /Streaming /;

interface Run extends CritestPart {
  readonly title: string;
  /** A suite that hardly ran anything has not shown conformance. */
  readonly fewest: number;
}

const whole: Run = { title: "passes whole, streaming over SPDY", fewest: 80 };
const both: readonly Run[] = [
  whole,
  { title: "passes its streaming over WebSocket", focus: ofStreaming, webSocket: true, fewest: 5 },
];

const engines: readonly (CritestEngine & { readonly name: string; readonly runs: readonly Run[] })[] = [
  { name: "Docker 20.10", engine: "20.10", containerdStore: false, runs: both },
  { name: "Docker 26.1", engine: "26.1", containerdStore: false, runs: both },
  { name: "Docker 26.1 with containerd's store", engine: "26.1", containerdStore: true, runs: [whole] },
  { name: "Docker 28", engine: "28", containerdStore: false, runs: both },
  { name: "Docker 28 with containerd's store", engine: "28", containerdStore: true, runs: [whole] },
];

/** What the table of the docs is made of: the whole runs with Docker's own store of images. */
const columns: Column[] = [];

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
        const specs = await critest.run(part);
        if (Object.keys(part).length === 0 && !engine.containerdStore)
          columns.push({ runtime: critest.runtime, specs });
        judge(t, specs, fewest);
      });
  });
}

// They take a third of the suite's time, and do not change from commit to commit.
if (process.env["DOCKER_CRI_WRITE_TABLES"]) {
  describe("the tables of docs/conformance.md", () => {
    for (const [name, open] of [
      ["cri-dockerd", openCriDockerdCritest],
      ["containerd", openContainerdCritest],
    ] as const)
      it(`have a column of ${name}`, async () => {
        await withLab(async (lab) => {
          const { runtime, run } = await open(lab);
          columns.push({ runtime, specs: await run() });
        });
      });

    it("are written", async () => {
      await writeCritestTables(columns);
    });
  });
}

function judge(t: TestContext, specs: readonly Spec[], fewest: number): void {
  const passed = specs.filter(({ state }) => state === "passed").length;
  const failed = specs.filter(({ state }) => state !== "passed" && state !== "skipped");
  t.diagnostic(`${passed} specs passed, ${failed.length} failed, of ${specs.length}`);
  for (const { group, name, message } of specs.filter(({ state }) => state === "skipped"))
    t.diagnostic(`skipped: ${group}: ${name}: ${message}`);
  assert.deepEqual(
    failed.map(({ group, name, state, message }) => `${state}: ${group}: ${name}: ${message}`),
    [],
  );
  assert.ok(passed >= fewest, `only ${passed} specs passed`);
}
