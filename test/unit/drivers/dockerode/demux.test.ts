import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Readable } from "node:stream";
import { readItems } from "../../../../src/base/index.js";
import type { OutputFrame } from "../../../../src/docker/index.js";
import { OutputParser, terminalOutput } from "../../../../src/drivers/dockerode/demux.js";
import { DaemonError, Malformed, Truncated } from "../../../../src/drivers/dockerode/failures.js";
import { chunked, collect, frame } from "./fake-engine.js";

const outputFrames = (chunks: AsyncIterable<Buffer>) =>
  readItems<OutputFrame>(Readable.from(chunks), new OutputParser());

const text = (frames: readonly { stream: string; data: Uint8Array }[], stream: string): string =>
  Buffer.concat(frames.filter((each) => each.stream === stream).map((each) => each.data)).toString();

describe("OutputParser", () => {
  it("gives both streams, wherever the bytes were cut", async () => {
    const bytes = Buffer.concat([
      frame(1, "grüß"),
      frame(2, "dich"),
      frame(1, ""),
      frame(1, "€\n"),
      frame(0, "!"),
    ]);
    for (let size = 1; size <= bytes.length; size++) {
      const frames = await collect(outputFrames(chunked(bytes, size)));
      assert.equal(text(frames, "stdout"), "grüß€\n!", `pieces of ${size} bytes`);
      assert.equal(text(frames, "stderr"), "dich");
    }
  });

  it("keeps every byte and the order, for any frames and any cut", async () => {
    const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 300 })), {
      maxLength: 20,
    });
    await fc.assert(
      fc.asyncProperty(frames, fc.integer({ min: 1, max: 64 }), async (sent, size) => {
        const bytes = Buffer.concat(sent.map(([type, data]) => frame(type, Buffer.from(data))));
        const bytesOf = (pieces: readonly (readonly [type: number, data: Uint8Array])[]) =>
          pieces.flatMap(([type, data]) => [...data].map((byte) => [type, byte]));
        const got = await collect(outputFrames(chunked(bytes, size)));
        assert.deepEqual(
          bytesOf(got.map(({ stream, data }) => [stream === "stdout" ? 1 : 2, data])),
          bytesOf(sent),
        );
      }),
      { numRuns: 100 },
    );
  });

  it("takes 50,000 tiny frames in one chunk without a deep stack", async () => {
    const bytes = Buffer.concat(Array.from({ length: 50_000 }, () => frame(1, "x")));
    const frames = await collect(outputFrames(chunked(bytes, bytes.length)));
    assert.equal(frames.length, 50_000);
  });

  it("does not wait for a frame to be whole, nor keep it", async () => {
    const header = Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    const frames = outputFrames(chunked(Buffer.concat([header, Buffer.from("beginning")]), 100));
    const first = await frames.next();
    assert.equal(first.done, false);
    assert.equal(Buffer.from(first.value.data).toString(), "beginning");
  });

  it("reports when the stream ends inside a frame or a header", async () => {
    const whole = frame(1, "hello");
    await assert.rejects(collect(outputFrames(chunked(whole.subarray(0, 10), 99))), Truncated);
    await assert.rejects(collect(outputFrames(chunked(whole.subarray(0, 5), 99))), Truncated);
  });

  it("refuses anything but a multiplexed stream", async () => {
    await assert.rejects(collect(outputFrames(chunked(Buffer.from("plain text, no frames"), 99))), Malformed);
    await assert.rejects(collect(outputFrames(chunked(frame(4, "x"), 99))), Malformed);
  });

  it("throws dockerd's own error out of the stream, after the output before it", async () => {
    const bytes = Buffer.concat([
      frame(1, "out"),
      frame(3, "error from daemon in stream: boom"),
      frame(1, "lost"),
    ]);
    for (const size of [1, 7, bytes.length]) {
      const frames = outputFrames(chunked(bytes, size));
      let seen = "";
      await assert.rejects(
        (async () => {
          for await (const each of frames) seen += Buffer.from(each.data).toString();
        })(),
        (error) => error instanceof DaemonError && error.message === "error from daemon in stream: boom",
      );
      assert.equal(seen, "out");
    }
  });
});

describe("terminalOutput", () => {
  it("shows everything as stdout, untouched", async () => {
    const bytes = Buffer.from([1, 0, 0, 0, 0, 0, 0, 1, 65]);
    assert.deepEqual(await collect(readItems(Readable.from(chunked(bytes, 4)), terminalOutput)), [
      { stream: "stdout", data: bytes.subarray(0, 4) },
      { stream: "stdout", data: bytes.subarray(4, 8) },
      { stream: "stdout", data: bytes.subarray(8) },
    ]);
  });
});
