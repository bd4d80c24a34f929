import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ChunkedBody } from "../../../../../src/drivers/dockerode/log-reader/chunked-body.js";
import { Malformed } from "../../../../../src/drivers/dockerode/failures.js";

const payload = fc.uint8Array({ minLength: 1, maxLength: 300 });
const extension = fc.constantFrom("", ";a=b", " ");

function encode(chunks: readonly (readonly [Uint8Array, string])[], trailer: string): Buffer {
  const parts = chunks.map(([bytes, more]) =>
    Buffer.concat([Buffer.from(`${bytes.length.toString(16)}${more}\r\n`), bytes, Buffer.from("\r\n")]),
  );
  return Buffer.concat([...parts, Buffer.from(`0\r\n${trailer}\r\n`)]);
}

function decode(body: ChunkedBody, bytes: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    parts.push(body.decode(Buffer.from(bytes.subarray(at, at + size))));
  }
  return Buffer.concat(parts);
}

describe("a chunked body", () => {
  it("is put together again however it was cut, and is over with its last chunk", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(payload, extension), { maxLength: 8 }),
        fc.constantFrom("", "Expires: never\r\n"),
        fc.integer({ min: 1, max: 400 }),
        (chunks, trailer, size) => {
          const bytes = encode(chunks, trailer);
          const body = new ChunkedBody();
          const wanted = Buffer.concat(chunks.map(([part]) => part));
          assert.deepEqual(decode(body, bytes, size), wanted);
          assert.ok(body.isOver);
          const cut = new ChunkedBody();
          decode(cut, bytes.subarray(0, -1), size);
          assert.ok(!cut.isOver);
        },
      ),
    );
  });

  it("is refused when a chunk has no size, or one beyond all bounds", () => {
    for (const text of ["x\r\n", "-1\r\n", "fffffffff\r\n"]) {
      assert.throws(() => new ChunkedBody().decode(Buffer.from(text)), Malformed);
    }
  });
});
