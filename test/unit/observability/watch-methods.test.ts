import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ShimError } from "../../../src/base/index.js";
import { resultOf, runWatched, watchMethods } from "../../../src/observability/watch-methods.js";

class Counter {
  private readonly step = 2;
  count = 0;

  add(times: number): number {
    return (this.count += this.step * times);
  }

  async addLater(): Promise<number> {
    await Promise.resolve();
    return this.add(1);
  }

  async *items(): AsyncGenerator<number> {
    await Promise.resolve();
    yield this.add(1);
    yield this.add(1);
  }

  fail(): Promise<never> {
    return Promise.reject(new ShimError("conflict", "no"));
  }

  throws(): never {
    throw new Error("bad");
  }
}

function watched() {
  const ended: [name: string, result: string][] = [];
  const counter = new Counter();
  const proxy = watchMethods(counter, "counter", (name, work) =>
    runWatched(work, (error) => ended.push([name, resultOf(error)])),
  );
  return { counter, proxy, ended };
}

describe("methods under watch", () => {
  it("do what they do, with their own state, and are not seen when they call each other", async () => {
    const { counter, proxy, ended } = watched();
    assert.equal(proxy.add(2), 4);
    assert.equal(await proxy.addLater(), 6);
    proxy.count = 0;
    assert.equal(counter.count, 0);
    assert.ok(proxy instanceof Counter);
    assert.deepEqual(ended, [
      ["counter.add", "ok"],
      ["counter.addLater", "ok"],
    ]);
  });

  it("end when a promise rejects or a call throws, with the kind of the error", async () => {
    const { proxy, ended } = watched();
    await assert.rejects(proxy.fail(), { kind: "conflict" });
    assert.throws(() => proxy.throws(), /bad/);
    assert.deepEqual(ended, [
      ["counter.fail", "conflict"],
      ["counter.throws", "internal"],
    ]);
  });

  it("end with an iteration, once, also one that is left early", async () => {
    const { proxy, ended } = watched();
    const seen: number[] = [];
    for await (const item of proxy.items()) {
      assert.deepEqual(ended, []);
      seen.push(item);
    }
    assert.deepEqual(seen, [2, 4]);
    for await (const item of proxy.items()) {
      assert.equal(item, 6);
      break;
    }
    assert.deepEqual(ended, [
      ["counter.items", "ok"],
      ["counter.items", "ok"],
    ]);
  });
});
