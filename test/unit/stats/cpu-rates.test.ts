import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CpuRates } from "../../../src/stats/cpu-rates.js";

const second = 1_000_000_000n;
const halfCore = 500_000_000n;

/** A container that uses half a core from its start at time 0. */
const at = (seconds: number) => ({
  atMs: seconds * 1000,
  usageCoreNanos: (BigInt(seconds * 1000) * second) / 2000n,
});

describe("CPU rates", () => {
  it("are there for the first caller", () => {
    const rates = new CpuRates();
    assert.equal(rates.rate("a", at(3), 0), halfCore, "of a young container, over its whole life");
    rates.add("b", at(3_600));
    rates.add("b", at(3_601));
    assert.equal(rates.rate("b", at(3_602), 0), halfCore, "of an old one, as far as it has been seen");
  });

  it("are the same for all callers", () => {
    const rates = new CpuRates();
    for (const time of [10, 20, 30]) rates.add("a", at(time));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 31, max: 40 })), (times) => {
        for (const time of times) assert.equal(rates.rate("a", at(time), 0), halfCore);
      }),
    );
  });

  it("are of the last seconds, not of the whole life", () => {
    const rates = new CpuRates();
    rates.add("a", { atMs: 100_000, usageCoreNanos: 0n });
    rates.add("a", { atMs: 110_000, usageCoreNanos: 0n });
    // Idle until now, and busy since.
    assert.equal(rates.rate("a", { atMs: 116_000, usageCoreNanos: 6n * second }, 0), second);
  });

  it("are taken over five seconds at least once there are samples so old", () => {
    const rates = new CpuRates();
    rates.add("a", { atMs: 10_000, usageCoreNanos: 0n });
    rates.add("a", { atMs: 20_000, usageCoreNanos: 10n * second });
    assert.equal(rates.rate("a", { atMs: 20_001, usageCoreNanos: 10n * second }, 0), 999_900_010n);
  });

  it("restart when the counter does", () => {
    const rates = new CpuRates();
    rates.add("a", { atMs: 10_000, usageCoreNanos: 9n * second });
    assert.equal(rates.rate("a", { atMs: 20_000, usageCoreNanos: second }, 18_000), halfCore);
    rates.add("a", { atMs: 20_000, usageCoreNanos: second });
    assert.equal(rates.rate("a", { atMs: 30_000, usageCoreNanos: 6n * second }, 18_000), halfCore);
  });

  it("of a pod whose sandbox was recreated continue in the same cgroup", () => {
    const rates = new CpuRates();
    rates.add("/pod", { atMs: 10_000, usageCoreNanos: 100n * second });
    assert.equal(rates.rate("/pod", { atMs: 12_000, usageCoreNanos: 101n * second }, 11_000), halfCore);
  });

  it("are unknown without a beginning, and never negative or infinite", () => {
    const rates = new CpuRates();
    assert.equal(rates.rate("a", at(5), undefined), undefined);
    assert.equal(rates.rate("a", at(5), 5_000), undefined);
    rates.add("a", at(5));
    assert.equal(rates.rate("a", at(5), undefined), undefined);
  });

  it("are dropped with their containers", () => {
    const rates = new CpuRates();
    rates.add("a", at(5));
    rates.add("b", at(5));
    rates.keepOnly(new Set(["b"]));
    assert.equal(rates.rate("a", at(15), undefined), undefined);
    assert.equal(rates.rate("b", at(15), undefined), halfCore);
  });
});
