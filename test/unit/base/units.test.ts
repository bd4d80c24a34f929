import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatRfc3339Nanos, parseRfc3339Nanos } from "../../../src/base/index.js";

describe("parseRfc3339Nanos", () => {
  for (const [text, nanos] of [
    ["1970-01-01T00:00:01Z", 1_000_000_000n],
    ["2026-11-23T21:01:02.123456789Z", 1_795_467_662_123_456_789n],
    ["2026-11-23T22:01:02.5+01:00", 1_795_467_662_500_000_000n],
    ["2026-11-23T21:01:02.1234567891234Z", 1_795_467_662_123_456_789n],
    ["0001-01-01T00:00:00Z", undefined],
    ["", undefined],
    ["yesterday", undefined],
    ["2026-13-45T99:99:99Z", undefined],
    [undefined, undefined],
  ] as const) {
    it(`reads ${String(text)}`, () => {
      assert.equal(parseRfc3339Nanos(text), nanos);
    });
  }
});

describe("formatRfc3339Nanos", () => {
  it("formats what it has parsed to the same text", () => {
    for (const text of ["2026-11-23T21:01:02.123456789Z", "1999-12-31T23:59:59.000000001Z"]) {
      assert.equal(formatRfc3339Nanos(parseRfc3339Nanos(text) ?? 0n), text);
    }
  });
});
