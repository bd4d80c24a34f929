import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary, type DescMessage, type Message } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import {
  ContainerSchema,
  ContainerState,
  ExecSyncResponseSchema,
  file_runtime_v1_api,
  ListContainersResponseSchema,
  UInt64ValueSchema,
  VersionResponseSchema,
} from "../../../src/gen/runtime/v1/api_pb.js";
import { deepFreeze } from "../../../src/base/index.js";
import { encodeFrame, encodeMessage } from "../../../src/rpc/encode.js";
import { arbitraryMessage } from "./arbitrary-message.js";

function allMessages(): DescMessage[] {
  const found: DescMessage[] = [];
  const visit = (messages: readonly DescMessage[]) => {
    for (const message of messages) {
      found.push(message);
      visit(message.nestedMessages);
    }
  };
  visit(file_runtime_v1_api.messages);
  return found;
}

/** A message and the messages in it, the outermost last. */
function heldMessages(schema: DescMessage, message: Message): [DescMessage, Message][] {
  const inner = schema.fields.flatMap((field): [DescMessage, Message][] => {
    const value = (message as unknown as Record<string, unknown>)[field.localName];
    if (field.message === undefined || value === undefined) return [];
    const values = field.fieldKind === "message" ? [value] : Object.values(value as object);
    const { message: type } = field;
    return values.flatMap((each) => heldMessages(type, each as Message));
  });
  return [...inner, [schema, message]];
}

function same(schema: DescMessage, message: Message): void {
  assert.deepEqual(Buffer.from(encodeMessage(schema, message)), Buffer.from(toBinary(schema, message)));
}

describe("encodeMessage", () => {
  it("writes what toBinary writes, for every message of the API", () => {
    const schemas = allMessages();
    assert.ok(schemas.length >= 175, `only ${schemas.length} messages found`);
    for (const schema of schemas) {
      fc.assert(
        fc.property(arbitraryMessage(schema), (message) => {
          same(schema, message);
        }),
        { numRuns: 25 },
      );
    }
  });

  it("writes optional fields and packed lists of other descriptors, zero values included", () => {
    same(
      FieldDescriptorProtoSchema,
      create(FieldDescriptorProtoSchema, { name: "", number: 0, type: FieldDescriptorProto_Type.INT32 }),
    );
    same(
      FileDescriptorProtoSchema,
      create(FileDescriptorProtoSchema, {
        name: "x.proto",
        dependency: ["a", ""],
        publicDependency: [0, 1, 300],
        messageType: [{ name: "Outer", nestedType: [{ name: "Inner" }] }],
        options: { deprecated: false },
      }),
    );
  });

  it("writes lengths on both sides of each varint's border", () => {
    for (const length of [127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
      same(VersionResponseSchema, create(VersionResponseSchema, { runtimeName: "n".repeat(length) }));
      same(ExecSyncResponseSchema, create(ExecSyncResponseSchema, { stdout: new Uint8Array(length) }));
      const inner = create(ContainerSchema, { id: "i".repeat(Math.max(0, length - 4)) });
      same(ListContainersResponseSchema, create(ListContainersResponseSchema, { containers: [inner] }));
    }
  });

  it("continues after a message that cannot be encoded, and names its field but not its value", () => {
    const wrong = create(VersionResponseSchema, { version: 4711 as unknown as string });
    assert.throws(
      () => encodeMessage(VersionResponseSchema, wrong),
      (error) => error instanceof TypeError && /version/.test(error.message) && !/4711/.test(error.message),
    );
    assert.throws(
      () => encodeMessage(UInt64ValueSchema, create(UInt64ValueSchema, { value: -1n })),
      TypeError,
    );
    const plain = { containers: [{ id: "no message" }] };
    assert.throws(() => encodeMessage(ListContainersResponseSchema, plain as never), TypeError);
    same(VersionResponseSchema, create(VersionResponseSchema, { version: "0.1.0" }));
  });

  it("frames a message for gRPC", () => {
    const message = create(VersionResponseSchema, { version: "0.1.0" });
    const frame = encodeFrame(VersionResponseSchema, message);
    assert.equal(frame[0], 0);
    assert.equal(frame.readUInt32BE(1), frame.length - 5);
    assert.deepEqual(fromBinary(VersionResponseSchema, frame.subarray(5)), message);
  });
});

describe("frozen messages", () => {
  const container = () =>
    create(ContainerSchema, {
      id: "c1",
      metadata: { name: "web", attempt: 3 },
      labels: { app: "x" },
      createdAt: 5n,
    });

  it("have the same bytes alone and within a list, the first time and every later time", () => {
    const expected = Buffer.from(toBinary(ContainerSchema, container()));
    const list = create(ListContainersResponseSchema, { containers: [container(), container()] });
    const expectedList = Buffer.from(toBinary(ListContainersResponseSchema, list));
    const frozen = list.containers.map((item) => deepFreeze(item));
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(Buffer.from(encodeMessage(ListContainersResponseSchema, list)), expectedList);
      assert.deepEqual(Buffer.from(encodeMessage(ContainerSchema, frozen[0]!)), expected);
    }
  });

  it("have the same bytes as others, for every message of the API that is frozen with all that it holds", () => {
    for (const schema of allMessages()) {
      fc.assert(
        fc.property(arbitraryMessage(schema), (message) => {
          const expected = Buffer.from(toBinary(schema, message));
          for (const [, held] of heldMessages(schema, message)) {
            deepFreeze(held);
            for (let round = 0; round < 2; round++)
              assert.deepEqual(Buffer.from(encodeMessage(schema, message)), expected);
          }
        }),
        { numRuns: 10 },
      );
    }
  });

  it("are encoded once", () => {
    const item = container();
    let reads = 0;
    Object.defineProperty(item, "podSandboxId", {
      enumerable: true,
      get: () => {
        reads++;
        return "p1";
      },
    });
    deepFreeze(item);
    const readsOfFreezing = reads;
    encodeMessage(ContainerSchema, item);
    const readsOfOneEncoding = reads - readsOfFreezing;
    encodeMessage(ContainerSchema, item);
    assert.ok(readsOfOneEncoding > 0);
    assert.equal(reads - readsOfFreezing, readsOfOneEncoding);
  });

  it("throw at a later change, at any depth", () => {
    const item = deepFreeze(container());
    assert.throws(() => (item.state = ContainerState.CONTAINER_RUNNING), TypeError);
    assert.throws(() => (item.metadata!.attempt = 9), TypeError);
    assert.throws(() => (item.labels["app"] = "y"), TypeError);
  });

  it("may hold bytes", () => {
    const answer = create(ExecSyncResponseSchema, { stdout: new Uint8Array([1, 2]) });
    deepFreeze(answer);
    same(ExecSyncResponseSchema, answer);
  });
});
