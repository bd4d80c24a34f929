import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Backoff, Gate, KeyedLock, SingleFlight, sleep } from "../../../src/base/index.js";

function deferred() {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}

describe("KeyedLock", () => {
  it("runs one key in order and other keys at once", async () => {
    const lock = new KeyedLock();
    const first = deferred();
    const order: string[] = [];
    const a = lock.run("pod", async () => {
      await first.promise;
      order.push("a");
    });
    const b = lock.run("pod", () => Promise.resolve(order.push("b")));
    await lock.run("other", () => Promise.resolve(order.push("other")));
    assert.deepEqual(order, ["other"]);
    first.resolve();
    await Promise.all([a, b]);
    assert.deepEqual(order, ["other", "a", "b"]);
    assert.equal(lock.size, 0);
  });

  it("continues after a failure", async () => {
    const lock = new KeyedLock();
    const failing = lock.run("pod", () => Promise.reject(new Error("no")));
    const after = lock.run("pod", () => Promise.resolve("yes"));
    await assert.rejects(failing);
    assert.equal(await after, "yes");
    assert.equal(lock.size, 0);
  });
});

describe("SingleFlight", () => {
  it("shares work under way and drops it afterwards", async () => {
    const flights = new SingleFlight<number>("op");
    let runs = 0;
    const gate = deferred();
    const work = async () => {
      runs++;
      await gate.promise;
      return runs;
    };
    const both = [flights.run("x", work), flights.run("x", work)];
    gate.resolve();
    assert.deepEqual(await Promise.all(both), [1, 1]);
    assert.equal(flights.size, 0);
    assert.equal(await flights.run("x", work), 2);
  });

  it("fails a cancelled call at once; the work continues for the other callers and for a retry", async () => {
    const flights = new SingleFlight<string>("op");
    const gate = deferred();
    const work = async (signal: AbortSignal) => {
      await gate.promise;
      return signal.aborted ? "aborted" : "done";
    };
    const caller = new AbortController();
    const first = flights.run("x", work, caller.signal);
    caller.abort();
    await assert.rejects(first, { kind: "cancelled", message: "op: the caller disconnected" });
    await assert.rejects(flights.run("y", work, caller.signal), { kind: "cancelled" });
    assert.equal(flights.size, 1);
    const retry = flights.run("x", () => Promise.resolve("started again"));
    gate.resolve();
    assert.equal(await retry, "done");
  });

  it("aborts work without callers after lingerMs and reports its error", async () => {
    const reported: unknown[] = [];
    const onUnobservedError = (error: unknown) => reported.push(error);
    const flights = new SingleFlight<string>("op", { lingerMs: 20, onUnobservedError });
    const caller = new AbortController();
    const left = flights.run("x", (signal) => sleep(60_000, signal).then(() => "never"), caller.signal);
    caller.abort();
    await assert.rejects(left, { kind: "cancelled" });
    assert.deepEqual(reported, []);
    await sleep(40);
    assert.equal(flights.size, 0);
    assert.match(String(reported[0]), /op: all callers disconnected more than 20 ms ago/);
  });
});

describe("Gate", () => {
  it("admits at most its limit", async () => {
    const gate = new Gate(2, 60_000);
    let running = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 8 }, () =>
        gate.run(async () => {
          most = Math.max(most, ++running);
          await sleep(2);
          running--;
        }),
      ),
    );
    assert.equal(most, 2);
  });

  it("does not let hanging work block the others", async () => {
    const gate = new Gate(1, 5);
    const hang = deferred();
    const hanging = gate.run(() => hang.promise);
    assert.equal(await gate.run(() => Promise.resolve("through")), "through");
    hang.resolve();
    await hanging;
    assert.equal(await gate.run(() => Promise.resolve("again")), "again");
  });
});

describe("Backoff", () => {
  it("doubles up to its limit and starts again after a reset", () => {
    const backoff = new Backoff(100, 500);
    assert.deepEqual(
      [1, 2, 3, 4].map(() => backoff.next()),
      [100, 200, 400, 500],
    );
    backoff.reset();
    assert.equal(backoff.next(), 100);
  });
});
