import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, type FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { buf, temporaryFolder } from "./buf.js";

/** An element of the .proto and the comment above it; "" when it has none. */
interface Element {
  readonly kind: "message" | "field" | "enum" | "service" | "rpc";
  readonly name: string;
  readonly comment: string;
  readonly deprecated: boolean;
}

describe("comments in the contract", () => {
  let elements: readonly Element[] = [];

  before(async () => {
    await using folder = await temporaryFolder();
    const image = join(folder.path, "image.binpb");
    await buf("build", "--output", image);
    const { file } = fromBinary(FileDescriptorSetSchema, await readFile(image));
    elements = file.flatMap(elementsOf);
  });

  for (const kind of ["service", "rpc", "message", "enum"] as const) {
    it(`stand on every ${kind}`, () => {
      const all = elements.filter((element) => element.kind === kind);
      assert.notEqual(all.length, 0);
      assert.deepEqual(
        all.filter(({ comment }) => comment === "").map(({ name }) => name),
        [],
      );
    });
  }

  it("report the unit of every time and timeout", () => {
    const unitOf = (field: string): RegExp | undefined =>
      /\.(timestamp|\w+_at)$/.test(field)
        ? /nanoseconds/i
        : /\.timeout$/.test(field)
          ? /seconds/i
          : undefined;
    const silent = elements.filter(
      ({ kind, name, comment }) => kind === "field" && unitOf(name)?.test(comment) === false,
    );
    assert.deepEqual(
      silent.map(({ name }) => name),
      [],
    );
  });

  it("name the successor of every deprecated field", () => {
    const deprecated = elements.filter((element) => element.deprecated);
    assert.notEqual(deprecated.length, 0);
    for (const { name, comment } of deprecated) assert.match(comment, /^Replaced by \w+\./, name);
  });
});

/** Where descriptor.proto keeps the parts of a file: a comment is found by a path of these and of indexes. */
const part = { message: 4, enum: 5, service: 6, messageField: 2, messageEnum: 4, serviceRpc: 2 } as const;

function elementsOf(file: FileDescriptorProto): Element[] {
  const comments = new Map(
    file.sourceCodeInfo?.location.map(({ path, leadingComments }) => [
      path.join("."),
      leadingComments.trim(),
    ]),
  );
  const element = (kind: Element["kind"], name: string, ...path: number[]): Element => ({
    kind,
    name,
    comment: comments.get(path.join(".")) ?? "",
    deprecated: false,
  });
  return [
    ...file.messageType.flatMap((message, m) => [
      element("message", message.name, part.message, m),
      ...message.field.map(({ name, options }, f) => ({
        ...element("field", `${message.name}.${name}`, part.message, m, part.messageField, f),
        deprecated: options?.deprecated ?? false,
      })),
      ...message.enumType.map((nested, e) =>
        element("enum", `${message.name}.${nested.name}`, part.message, m, part.messageEnum, e),
      ),
    ]),
    ...file.enumType.map(({ name }, e) => element("enum", name, part.enum, e)),
    ...file.service.flatMap((service, s) => [
      element("service", service.name, part.service, s),
      ...service.method.map((rpc, r) =>
        element("rpc", `${service.name}.${rpc.name}`, part.service, s, part.serviceRpc, r),
      ),
    ]),
  ];
}
