import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isKind } from "../../../src/base/index.js";
import { parseGoDuration } from "../../../src/config/index.js";

describe("parseGoDuration", () => {
  for (const [text, milliseconds] of [
    ["0", 0],
    ["0s", 0],
    ["1m0s", 60_000],
    ["1m59s", 119_000],
    ["1.5h", 5_400_000],
    [".5s", 500],
    ["+300ms", 300],
    ["1h2m3s4ms", 3_723_004],
    ["1500us", 2],
    ["1500µs", 2],
    ["1ns", 1],
  ] as const) {
    it(`reads ${text}`, () => {
      assert.equal(parseGoDuration(text), milliseconds);
    });
  }

  for (const text of [
    "",
    "1",
    "-1s",
    "1 s",
    "1m 0s",
    "s",
    ".s",
    "1.2.3s",
    "1d",
    "1e3s",
    "∞",
    "597h",
    "1".repeat(70) + "s",
  ]) {
    it(`refuses ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.throws(
        () => parseGoDuration(text),
        (error) => isKind(error, "invalid-argument"),
      );
    });
  }
});
