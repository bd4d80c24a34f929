import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";

/** Waits for what happens on the other side of a socket. */
export async function until(holds: () => boolean, withinMs = 20_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!holds()) {
    assert.ok(performance.now() < deadline, `did not come true within ${withinMs} ms: ${holds.toString()}`);
    await delay(5);
  }
}
