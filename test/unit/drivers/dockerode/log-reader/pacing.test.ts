import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { LogFrame } from "../../../../../src/docker/index.js";
import { ReadPace, ReadScheduler } from "../../../../../src/drivers/dockerode/log-reader/pacing.js";

function batch(count: number, bytes = 100): LogFrame[] {
  return Array.from({ length: count }, () => ({
    stream: "stdout",
    timestampNanos: 1n,
    data: Buffer.alloc(bytes),
  }));
}

/** A clock that stands still between its steps. */
function stoppedClock(t: TestContext): { step(ms: number): void } {
  let now = 1_000;
  t.mock.method(performance, "now", () => now);
  return { step: (ms) => (now += ms) };
}

describe("ReadPace", () => {
  it("delays a quiet log by a fifth of a second, and never longer", (t) => {
    const clock = stoppedClock(t);
    const pace = new ReadPace(new ReadScheduler());
    for (const [count, ms] of [
      [1, 60_000],
      [10, 200],
      [1, 20],
    ] as const) {
      clock.step(ms);
      assert.equal(pace.next(batch(count)), 200);
    }
  });

  it("delays a busy log less, the more it writes", (t) => {
    const clock = stoppedClock(t);
    const pace = new ReadPace(new ReadScheduler());
    clock.step(100);
    const some = pace.next(batch(50));
    clock.step(100);
    const more = pace.next(batch(100));
    assert.ok(some < 200 && more < some && more > 0, `${some}, ${more}`);
  });

  it("never delays a busy log", (t) => {
    const clock = stoppedClock(t);
    const pace = new ReadPace(new ReadScheduler());
    clock.step(50);
    assert.equal(pace.next(batch(200)), 0);
    clock.step(100);
    assert.equal(pace.next(batch(1)), 0);
    clock.step(200);
    assert.equal(pace.next(batch(1)), 200);
  });

  it("ends a wait at once when nothing is to wait any more, and lets none begin", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const pace = new ReadPace(new ReadScheduler());
    const waits = pace.wait(200);
    pace.end();
    await waits;
    await pace.wait(200);
  });
});

const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve));

describe("ReadScheduler", () => {
  it("has a log wait no longer than it may, and not much less", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    t.mock.method(performance, "now", () => 1_003);
    for (const ms of [200, 120, 50]) {
      const scheduler = new ReadScheduler();
      let reads = 0;
      scheduler.schedule(ms, () => reads++);
      t.mock.timers.tick(ms * 0.9 - 10);
      await turnOfTheLoop();
      assert.equal(reads, 0, `${ms} ms`);
      t.mock.timers.tick(ms * 0.1 + 10);
      await turnOfTheLoop();
      assert.equal(reads, 1, `${ms} ms`);
    }
  });

  it("has a log that may not wait read in the next turn", async () => {
    const scheduler = new ReadScheduler();
    let reads = 0;
    scheduler.schedule(0, () => reads++);
    await turnOfTheLoop();
    assert.equal(reads, 1);
  });

  it("lets others do something between a few logs and the next few", async () => {
    const scheduler = new ReadScheduler();
    let reads = 0;
    for (let log = 0; log < 10; log++) scheduler.schedule(0, () => reads++);
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
    const scheduler = new ReadScheduler();
    const logs = 100;
    let reads = 0;
    for (let log = 0; log < logs; log++) scheduler.schedule(200, () => reads++);
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
