import { create, ScalarType, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import fc from "fast-check";

// fast-check builds a table of all characters for each arbitrary of text: this one is made once.
const text = fc.oneof(
  { weight: 3, arbitrary: fc.string() },
  { weight: 3, arbitrary: fc.string({ unit: "binary" }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "",
      "\ud800",
      "a\udc00b",
      "ü",
      "x".repeat(127),
      "x".repeat(128),
      "é".repeat(127),
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 0, max: 20_000 })
      .map((length) => "漢".repeat(length % 300) + "y".repeat(length)),
  },
);

/** Any message of a type: every field may be unset, zero, extreme or long, and unknown fields may follow. */
export function arbitraryMessage(desc: DescMessage, depth = 0): fc.Arbitrary<Message> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of desc.fields) {
    const value = fieldValue(field, depth);
    if (value) fields[field.localName] = value;
  }
  return fc
    .tuple(
      fc.record(fields, { requiredKeys: [] }),
      fc.option(unknownFields(desc), { nil: undefined, freq: 8 }),
    )
    .map(([init, unknown]) => {
      const message = create(desc, init as never);
      if (unknown) message.$unknown = unknown;
      return message;
    });
}

function fieldValue(field: DescField, depth: number): fc.Arbitrary<unknown> | undefined {
  const bound = { maxLength: depth === 0 ? 4 : 2 };
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar);
    case "enum":
      return fc.oneof(fc.constantFrom(...field.enum.values.map((value) => value.number)), fc.integer());
    case "message":
      return depth > 5 ? undefined : arbitraryMessage(field.message, depth + 1);
    case "list":
      if (field.listKind === "message") {
        return depth > 5 ? fc.constant([]) : fc.array(arbitraryMessage(field.message, depth + 1), bound);
      }
      return fc.array(scalar(field.scalar ?? ScalarType.INT32), { maxLength: 40 });
    case "map":
      return fc.dictionary(
        text,
        field.mapKind === "message"
          ? arbitraryMessage(field.message, depth + 1)
          : scalar(field.scalar ?? ScalarType.INT32),
        { maxKeys: 4, noNullPrototype: true },
      );
  }
}

function scalar(type: ScalarType): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 300 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
      return fc.double();
    case ScalarType.INT32:
      return fc.oneof(fc.integer(), fc.constantFrom(0, -1, 127, 128, 0x7fffffff, -0x80000000));
    case ScalarType.UINT32:
      return fc.oneof(fc.nat(), fc.constantFrom(0, 127, 128, 0xffffffff));
    case ScalarType.INT64:
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case ScalarType.UINT64:
      return fc.oneof(
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.constantFrom(0n, 127n, 128n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n),
      );
    default:
      throw new Error(`no field of CRI has the scalar type ${type}`);
  }
}

function unknownFields(desc: DescMessage) {
  const highest = Math.max(0, ...desc.fields.map((field) => field.number));
  return fc.array(
    fc.record({
      no: fc.integer({ min: highest + 1, max: highest + 5000 }),
      wireType: fc.constant(2),
      data: fc.uint8Array({ maxLength: 20 }).map((bytes) => new Uint8Array([bytes.length, ...bytes])),
    }),
    { maxLength: 3 },
  );
}
