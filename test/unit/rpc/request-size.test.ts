import assert from "node:assert/strict";
import type { ServerHttp2Stream } from "node:http2";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary, type DescMessage } from "@bufbuild/protobuf";
import fc from "fast-check";
import { isKind, ShimError } from "../../../src/base/index.js";
import {
  CreateContainerRequestSchema,
  ImageService,
  RuntimeService,
} from "../../../src/gen/runtime/v1/api_pb.js";
import { readRequest } from "../../../src/rpc/grpc/request.js";
import { HeldBytes } from "../../../src/rpc/held-bytes.js";
import { checkFields, checkJsonValues } from "../../../src/rpc/request-size.js";
import { longestStop } from "../../support/event-loop.js";
import { arbitraryMessage } from "./arbitrary-message.js";

const largest = 16 * 1024 * 1024;
const requests = [...RuntimeService.methods, ...ImageService.methods].map(({ input }) => input);
const anyRequest = fc.constantFrom(...requests);

function read(schema: DescMessage, bytes: Buffer): Promise<unknown> {
  const stream = new PassThrough();
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes.length, 1);
  const receiver = { signal: new AbortController().signal, hold: new HeldBytes().open() };
  const request = readRequest(stream as unknown as ServerHttp2Stream, schema, undefined, largest, receiver);
  stream.write(prefix);
  for (let at = 0; at < bytes.length; at += 16_384) stream.write(bytes.subarray(at, at + 16_384));
  stream.end();
  return request.catch((error: unknown) => error);
}

/** A field of a message that holds the bytes, around it another one, and so on. */
function wrapped(bytes: Buffer, numbers: readonly number[]): Buffer {
  return numbers.reduce(
    (inner, number) => Buffer.concat([varint(number * 8 + 2), varint(inner.length), inner]),
    bytes,
  );
}

function varint(value: number): Buffer {
  const bytes = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return Buffer.from([...bytes, value]);
}

/** Few bytes again and again: fields of any number and type, or none, at any depth. */
const wire = fc
  .record({
    piece: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 6 }),
      fc
        .tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 5 }), fc.nat(4))
        .map(([number, wireType, length]) =>
          Uint8Array.from([...varint(number * 8 + wireType), length, ...new Array<number>(length).fill(1)]),
        ),
    ),
    length: fc.oneof(fc.constant(largest - 64), fc.nat(largest - 64)),
    numbers: fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 4 }),
  })
  .map(({ piece, length, numbers }) => wrapped(Buffer.alloc(length, piece), numbers));

describe("a request of up to 16 MiB", () => {
  it("is decoded or refused without a stop of the event loop, whatever its bytes", async () => {
    await fc.assert(
      fc.asyncProperty(anyRequest, wire, async (schema, bytes) => {
        let result: unknown;
        const stopMs = await longestStop(async () => (result = await read(schema, bytes)));
        assert.ok(stopMs < 100, `the event loop stood for ${stopMs} ms`);
        if (result instanceof Error) assert.ok(result instanceof ShimError, String(result));
      }),
      { numRuns: 50 },
    );
  });

  it("is refused for 7.8 million mounts", async () => {
    const config = CreateContainerRequestSchema.field.config;
    const mounts = config.message?.field["mounts"];
    const bytes = wrapped(Buffer.alloc(15_600_000, varint((mounts?.number ?? 0) * 8 + 2)), [config.number]);
    bytes.fill(Buffer.from([(mounts?.number ?? 0) * 8 + 2, 0]), bytes.length - 15_600_000);
    let result: unknown;
    const stopMs = await longestStop(async () => (result = await read(CreateContainerRequestSchema, bytes)));
    assert.ok(isKind(result, "resource-exhausted"), String(result));
    assert.match(result.message, /more than 80000 fields/);
    assert.ok(stopMs < 100, `the event loop stood for ${stopMs} ms`);
  });
});

describe("the environment of a pod in a namespace of 2,200 services", () => {
  it("is decoded, seven variables for each, without a stop of the event loop", async () => {
    const envs = Array.from({ length: 7 * 2_200 }, (_, index) => ({
      key: `SERVICE_${index}_PORT_8080_TCP_ADDR`,
      value: Buffer.from(`10.96.${index >> 8}.${index & 255}`),
    }));
    const message = create(CreateContainerRequestSchema, { config: { envs } });
    const bytes = Buffer.from(toBinary(CreateContainerRequestSchema, message));
    let result: unknown;
    const stopMs = await longestStop(async () => (result = await read(CreateContainerRequestSchema, bytes)));
    assert.deepEqual(result, message);
    assert.ok(stopMs < 100, `the event loop stood for ${stopMs} ms`);
  });
});

describe("checkFields", () => {
  it("accepts every valid message", () => {
    for (const schema of requests)
      fc.assert(
        fc.property(arbitraryMessage(schema), (message) => {
          checkFields(schema, toBinary(schema, message));
        }),
        { numRuns: 30 },
      );
  });

  it("leaves nothing to the decoder that it has not counted, and refuses anything but a message", () => {
    const bytes = fc.array(fc.oneof(fc.nat(255), fc.constantFrom(8, 10, 18, 26, 2, 0, 1)), { maxLength: 40 });
    fc.assert(
      fc.property(anyRequest, bytes, (schema, given) => {
        const encoded = Uint8Array.from(given);
        try {
          checkFields(schema, encoded);
        } catch {
          return;
        }
        try {
          fromBinary(schema, encoded);
        } catch (error) {
          // The one thing that is left to the decoder.
          assert.match(String(error), /UTF-8|utf-8|tag/i);
        }
      }),
      { numRuns: 5_000 },
    );
  });
});

describe("checkJsonValues", () => {
  it("accepts a text with few values, in any form", () => {
    const jsons = fc.json({ maxDepth: 4 });
    fc.assert(
      fc.property(jsons, (json) => {
        checkJsonValues(Buffer.from(json));
      }),
    );
    checkJsonValues(Buffer.from(JSON.stringify({ text: '[{,\\"'.repeat(50_000) })));
  });

  it("refuses many values, wherever they are", () => {
    for (const json of [
      "[".repeat(50_000),
      `[${"{},".repeat(50_000)}1]`,
      `{"\\"":[${"1,".repeat(50_000)}1]}`,
    ])
      assert.throws(
        () => {
          checkJsonValues(Buffer.from(json));
        },
        (error) => isKind(error, "resource-exhausted"),
      );
  });
});
