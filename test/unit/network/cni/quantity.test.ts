import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseQuantity } from "../../../../src/network/cni/capabilities.js";

describe("a quantity", () => {
  for (const [text, value] of [
    ["0", 0n],
    ["1k", 1_000n],
    ["10M", 10_000_000n],
    ["1.1M", 1_100_000n],
    [".5G", 500_000_000n],
    ["5.", 5n],
    ["1Ki", 1_024n],
    ["1.5Gi", 1_610_612_736n],
    ["0.1Ki", 103n],
    ["1P", 10n ** 15n],
    ["1Ei", 2n ** 60n],
    ["2e6", 2_000_000n],
    ["2E6", 2_000_000n],
    ["1e-1", 1n],
    ["1500m", 2n],
    ["1n", 1n],
    ["+3u", 1n],
    ["-1500m", -1n],
  ] as const) {
    it(`${text} is ${value}`, () => {
      assert.equal(parseQuantity(text), value);
    });
  }

  for (const text of [
    "",
    ".",
    "k",
    "1K",
    "1 M",
    "1kk",
    "1Mi ",
    "0x10",
    "1e",
    "1e1000",
    "1e9999999",
    "∞",
    "1_000",
    `1${"0".repeat(40)}`,
  ]) {
    it(`is not ${JSON.stringify(text)}`, () => {
      assert.equal(parseQuantity(text), undefined);
    });
  }
});
