import assert from "node:assert/strict";
import type { ServerHttp2Stream } from "node:http2";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { isKind, ShimError } from "../../../src/base/index.js";
import { VersionRequestSchema, type VersionRequest } from "../../../src/gen/runtime/v1/api_pb.js";
import { HeldBytes } from "../../../src/rpc/held-bytes.js";
import { readRequest } from "../../../src/rpc/grpc/request.js";

function read(stream: PassThrough, maxBytes = 1_000): Promise<VersionRequest> {
  const receiver = { signal: new AbortController().signal, hold: new HeldBytes().open() };
  const asHttp2 = stream as unknown as ServerHttp2Stream;
  return readRequest(asHttp2, VersionRequestSchema, undefined, maxBytes, receiver) as Promise<VersionRequest>;
}

function frame(version: string): Buffer {
  const message = toBinary(VersionRequestSchema, create(VersionRequestSchema, { version }));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

describe("readRequest", () => {
  it("reassembles a message from any chunks", async () => {
    const whole = frame("v1");
    const cuts = fc.array(fc.integer({ min: 1, max: whole.length - 1 }), { maxLength: whole.length });
    await fc.assert(
      fc.asyncProperty(cuts, async (points) => {
        const stream = new PassThrough();
        const request = read(stream);
        let start = 0;
        for (const point of [...new Set(points), whole.length].sort((a, b) => a - b)) {
          stream.write(whole.subarray(start, point));
          start = point;
        }
        stream.end();
        assert.equal((await request).version, "v1");
      }),
    );
  });

  it("answers any input with a message or a ShimError", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 5 }), async (chunks) => {
        const stream = new PassThrough();
        const request = read(stream).catch((error: unknown) => error);
        for (const chunk of chunks) stream.write(chunk);
        stream.end();
        const result = await request;
        if (result instanceof Error) assert.ok(result instanceof ShimError, String(result));
      }),
    );
  });

  it("refuses a large message after its first five bytes", async () => {
    const stream = new PassThrough();
    const request = read(stream, 100);
    stream.write(Buffer.from([0, 0, 0, 0, 101]));
    await assert.rejects(request, (error) => isKind(error, "resource-exhausted"));
    assert.equal(stream.listenerCount("data"), 0);
  });

  it("does not wait forever", async (test) => {
    test.mock.timers.enable({ apis: ["setTimeout"] });
    const stream = new PassThrough();
    const request = read(stream);
    stream.write(frame("v1").subarray(0, 4));
    test.mock.timers.tick(60_001);
    await assert.rejects(request, (error) => isKind(error, "deadline-exceeded"));
  });

  it("reports that the caller has cancelled", async () => {
    const stream = new PassThrough();
    const request = read(stream);
    stream.destroy();
    await assert.rejects(request, (error) => isKind(error, "cancelled"));
  });
});
