import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { formatRfc3339Nanos } from "../../../../../src/base/index.js";
import type { LogFrame } from "../../../../../src/docker/index.js";
import { DaemonError, Malformed, Truncated } from "../../../../../src/drivers/dockerode/failures.js";
import { FrameParser } from "../../../../../src/drivers/dockerode/log-reader/frame-parser.js";
import { frame } from "../fake-engine.js";

function takeApart(bytes: Buffer, size: number): LogFrame[] {
  const parser = new FrameParser();
  const entries: LogFrame[] = [];
  for (let at = 0; at < bytes.length; at += size) parser.push(bytes.subarray(at, at + size), entries);
  parser.end();
  return entries;
}

describe("FrameParser", () => {
  it("gives every entry with its time, for any entries and any cut", () => {
    const entry = fc.record(
      {
        stream: fc.constantFrom<LogFrame["stream"]>("stdout", "stderr"),
        timestampNanos: fc.oneof(
          fc.bigInt({ min: 0n, max: 4_000_000_000_000_000_000n }),
          fc.bigInt({ min: 1_700_000_000_000_000_000n, max: 1_700_000_001_999_999_999n }),
        ),
        data: fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 20 }), fc.integer({ min: 1, max: 150 }), (entries, size) => {
        const bytes = Buffer.concat(
          entries.map(({ stream, timestampNanos, data }) => {
            const text = [Buffer.from(`${formatRfc3339Nanos(timestampNanos)} `), data];
            return frame(stream === "stdout" ? 1 : 2, Buffer.concat(text));
          }),
        );
        assert.deepEqual(takeApart(bytes, size), entries);
      }),
      { numRuns: 300 },
    );
  });

  it("takes the timestamp off each entry and leaves the rest alone", () => {
    const first = "2026-01-02T03:04:05.000000001Z";
    const second = "2026-01-02T03:04:05.123456789Z";
    const bytes = Buffer.concat([
      frame(1, `${first} hello world\n`),
      frame(2, `${second}  two spaces`),
      frame(1, `${second} \n`),
      frame(1, `${second} `),
    ]);
    for (const size of [1, 13, bytes.length])
      assert.deepEqual(
        takeApart(bytes, size).map(({ stream, timestampNanos, data }) => [
          stream,
          formatRfc3339Nanos(timestampNanos),
          Buffer.from(data).toString(),
        ]),
        [
          ["stdout", first, "hello world\n"],
          ["stderr", second, " two spaces"],
          ["stdout", second, "\n"],
          ["stdout", second, ""],
        ],
      );
  });

  it("reads times of other lengths and zones too", () => {
    const stamps = ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5+01:00", "2026-01-02T03:04:05.000000001Z"];
    const bytes = Buffer.concat(stamps.map((stamp) => frame(1, `${stamp} x\n`)));
    assert.deepEqual(
      takeApart(bytes, 1000).map(({ timestampNanos }) => timestampNanos),
      [1_767_323_045_000_000_000n, 1_767_319_445_500_000_000n, 1_767_323_045_000_000_001n],
    );
  });

  it("refuses an invalid frame, after the entries before it", () => {
    const good = frame(1, "2026-01-02T03:04:05.000000001Z x\n");
    for (const bad of [
      Buffer.from("just text, and no frames"),
      frame(1, "no time here\n"),
      frame(1, ""),
      frame(1, " x"),
      frame(1, "2026-01-02T03:04:05.00000000xZ x"),
      frame(1, "2026-01-02T03:04:05.000000001Z"),
      frame(1, "2026-13-40T99:00:00Z x"),
      Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0]),
    ]) {
      const entries: LogFrame[] = [];
      const parser = new FrameParser();
      assert.throws(() => {
        parser.push(Buffer.concat([good, bad, good]), entries);
      }, Malformed);
      assert.equal(entries.length, 1);
    }
  });

  it("throws dockerd's error, and reports a truncated stream", () => {
    assert.throws(() => takeApart(frame(3, "Error grabbing logs: no"), 5), DaemonError);
    const bytes = frame(1, "2026-01-02T03:04:05.000000001Z x\n");
    for (let size = 1; size < bytes.length; size++) {
      assert.throws(() => takeApart(bytes.subarray(0, size), 7), Truncated);
    }
  });
});
