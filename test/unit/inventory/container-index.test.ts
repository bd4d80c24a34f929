import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DockerEvent } from "../../../src/docker/index.js";
import { monotonicMsOf } from "../../../src/inventory/container-index.js";

function eventAt(wallMs: number): DockerEvent {
  const timeNanos = BigInt(Math.round(wallMs * 1_000)) * 1_000n;
  return { type: "container", action: "die", subject: "c", timeNanos, attributes: {} };
}

describe("the moment of an event", () => {
  it("is never earlier than it was, and at most a millisecond later", () => {
    const began = performance.now();
    const moment = monotonicMsOf(eventAt(performance.timeOrigin + began));
    const drift = Date.now() - (performance.timeOrigin + performance.now());
    assert.ok(Math.abs(moment - began) <= Math.abs(drift) + 1.5, `${moment} for ${began}`);
  });

  it("does not become the past when the clock is set back", (context) => {
    const sentAtMs = performance.now();
    const now = Date.now.bind(Date);
    context.mock.method(Date, "now", () => now() - 3_600_000);
    assert.ok(monotonicMsOf(eventAt(Date.now() + 50)) > sentAtMs);
  });
});
