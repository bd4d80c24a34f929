import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DockerEvent } from "../../../src/docker/index.js";
import { eventsAfter, momentOf, monotonicMs, newEntry, sentNow } from "../../../src/inventory/entry.js";

function eventAt(wallMs: number): DockerEvent {
  const timeNanos = BigInt(Math.round(wallMs * 1_000)) * 1_000n;
  return { type: "container", action: "die", subject: "c", timeNanos, attributes: {} };
}

describe("the moment of an event", () => {
  it("is never earlier than it was, and at most a millisecond later", () => {
    const began = monotonicMs();
    const moment = momentOf(eventAt(performance.timeOrigin + began));
    const drift = Date.now() - (performance.timeOrigin + monotonicMs());
    assert.ok(Math.abs(moment - began) <= Math.abs(drift) + 1.5, `${moment} for ${began}`);
  });

  it("does not become the past when the clock is set back", (context) => {
    const entry = newEntry("c");
    const sent = sentNow(entry);
    const now = Date.now.bind(Date);
    context.mock.method(Date, "now", () => now() - 3_600_000);
    const event = eventAt(Date.now() + 50);
    entry.pending.push(event);
    assert.deepEqual(eventsAfter(entry, sent, true), [event]);
  });
});

describe("events after an inspect", () => {
  const entry = newEntry("c");
  const [before, late, after] = [
    eventAt(Date.now() - 60_000),
    eventAt(Date.now() - 30_000),
    eventAt(Date.now() + 60_000),
  ];
  entry.pending.push(before);
  const sent = sentNow(entry);
  entry.pending.push(late, after);

  it("are those that happened after it, whenever they came", () => {
    assert.deepEqual(eventsAfter(entry, sent, true), [after]);
  });

  it("are those that came after it, where the engine has a clock of its own", () => {
    assert.deepEqual(eventsAfter(entry, sent, false), [late, after]);
  });
});
