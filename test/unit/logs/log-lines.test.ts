import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseEntry } from "../../../src/logs/log-lines.js";
import { BufferPool, LineBuffer } from "../../../src/logs/pump/line-buffer.js";
import { expected } from "./lab.js";
import type { StreamName } from "./scripted-log.js";

const text = fc
  .uint8Array({ maxLength: 50 })
  .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 10)));
const nanos = fc.bigInt({ min: 0n, max: 253_402_300_799_999_999_999n });
const entry = fc.record(
  {
    stream: fc.constantFrom<StreamName>("stdout", "stderr"),
    timestampNanos: nanos,
    partial: fc.boolean(),
    text,
  },
  { noNullPrototype: true },
);

describe("log lines", () => {
  it("are read as they were written, whatever bytes are in them", () => {
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 30 }), (entries) => {
        const wanted = entries.filter((each) => !each.partial || each.text.length > 0);
        const buffer = new LineBuffer(new BufferPool(8 * 1024));
        const frames = entries.map(({ stream, timestampNanos, partial, text: data }) => ({
          stream,
          timestampNanos,
          data: partial ? data : Buffer.concat([data, Buffer.from("\n")]),
        }));
        for (const frame of frames) buffer.add(frame);
        const written = buffer.lines().toString("latin1");
        assert.equal(written, expected(frames.filter((frame) => frame.data.length > 0)));
        const lines = written === "" ? [] : written.slice(0, -1).split("\n");
        assert.deepEqual(
          lines.map((line) => parseEntry(Buffer.from(line, "latin1"))),
          wanted,
        );
        buffer.clear();
        assert.equal(buffer.sizeBytes, 0);
      }),
      { numRuns: 300 },
    );
  });

  it("clamp a time that is out of range", () => {
    const buffer = new LineBuffer(new BufferPool());
    for (const timestampNanos of [-1n, 1n << 80n]) {
      buffer.add({ stream: "stdout", timestampNanos, data: Buffer.from("x\n") });
    }
    assert.equal(
      buffer.lines().toString(),
      "1970-01-01T00:00:00.000000000Z stdout F x\n9999-12-31T23:59:59.999999999Z stdout F x\n",
    );
  });

  it("are distinguished from other text", () => {
    const good = "2024-01-02T03:04:05.5+01:00 stderr F:x two  spaces";
    assert.deepEqual(parseEntry(Buffer.from(good)), {
      timestampNanos: 1_704_161_045_500_000_000n,
      stream: "stderr",
      partial: false,
      text: Buffer.from("two  spaces"),
    });
    for (const bad of [
      "",
      "2024-01-02T03:04:05Z stdout F",
      "2024-01-02T03:04:05Z stdin F x",
      "2024-01-02T03:04:05Z stdout X x",
      "2024-01-02 stdout F x",
      '{"log":"x\\n","stream":"stdout","time":"2024-01-02T03:04:05Z"}',
    ]) {
      assert.equal(parseEntry(Buffer.from(bad)), undefined, bad);
    }
  });
});
