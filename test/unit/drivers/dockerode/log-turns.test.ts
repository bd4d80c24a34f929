import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LogTurns } from "../../../../src/drivers/dockerode/log-turns.js";

const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve));

describe("LogTurns", () => {
  it("has a log wait no longer than it may, and not much less", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    t.mock.method(performance, "now", () => 1_003);
    for (const ms of [200, 120, 50]) {
      const turns = new LogTurns();
      let reads = 0;
      turns.after(ms, () => reads++);
      t.mock.timers.tick(ms * 0.9 - 10);
      await turnOfTheLoop();
      assert.equal(reads, 0, `${ms} ms`);
      t.mock.timers.tick(ms * 0.1 + 10);
      await turnOfTheLoop();
      assert.equal(reads, 1, `${ms} ms`);
    }
  });

  it("has a log that may not wait read in the next turn", async () => {
    const turns = new LogTurns();
    let reads = 0;
    turns.after(0, () => reads++);
    await turnOfTheLoop();
    assert.equal(reads, 1);
  });

  it("lets others do something between a few logs and the next few", async () => {
    const turns = new LogTurns();
    let reads = 0;
    for (let log = 0; log < 10; log++) turns.after(0, () => reads++);
    const seen: number[] = [];
    for (let turn = 0; turn < 3; turn++) {
      await turnOfTheLoop();
      seen.push(reads);
    }
    assert.deepEqual(seen, [4, 8, 10]);
  });

  it("spreads logs that were once read together", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    t.mock.method(performance, "now", () => 1_003);
    const turns = new LogTurns();
    const logs = 100;
    let reads = 0;
    for (let log = 0; log < logs; log++) turns.after(200, () => reads++);
    let most = 0;
    for (let ms = 0; ms < 200; ms += 5) {
      const before = reads;
      t.mock.timers.tick(5);
      for (let turn = 0; turn < logs; turn++) await turnOfTheLoop();
      most = Math.max(most, reads - before);
    }
    assert.equal(reads, logs);
    assert.ok(most <= logs / 2, `${most} logs were read at once`);
  });
});
