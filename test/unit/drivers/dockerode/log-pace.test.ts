import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { LogFrame } from "../../../../src/docker/index.js";
import { LogPace } from "../../../../src/drivers/dockerode/log-pace.js";
import { LogTurns } from "../../../../src/drivers/dockerode/log-turns.js";

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

describe("LogPace", () => {
  it("has a log that says little wait for a fifth of a second, and never longer", (t) => {
    const clock = stoppedClock(t);
    const pace = new LogPace(new LogTurns());
    for (const [count, ms] of [
      [1, 60_000],
      [10, 200],
      [1, 20],
    ] as const) {
      clock.step(ms);
      assert.equal(pace.wanted(batch(count)), 200);
    }
  });

  it("has a log that says much wait for less, the more it says", (t) => {
    const clock = stoppedClock(t);
    const pace = new LogPace(new LogTurns());
    clock.step(100);
    const some = pace.wanted(batch(50));
    clock.step(100);
    const more = pace.wanted(batch(100));
    assert.ok(some < 200 && more < some && more > 0, `${some}, ${more}`);
  });

  it("has a log that shouts not wait at all, also a little later", (t) => {
    const clock = stoppedClock(t);
    const pace = new LogPace(new LogTurns());
    clock.step(50);
    assert.equal(pace.wanted(batch(200)), 0);
    clock.step(100);
    assert.equal(pace.wanted(batch(1)), 0);
    clock.step(200);
    assert.equal(pace.wanted(batch(1)), 200);
  });

  it("ends a wait at once when nothing is to wait any more, and lets none begin", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const pace = new LogPace(new LogTurns());
    const waits = pace.wait(200);
    pace.end();
    await waits;
    await pace.wait(200);
  });
});
