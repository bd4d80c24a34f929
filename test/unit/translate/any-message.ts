import { create, ScalarType, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import fc from "fast-check";

const words = fc.constantFrom(
  "a",
  "a_b",
  "..",
  "/",
  "/a",
  "/a/../..",
  "/a:b",
  "a\0b",
  "\n",
  "ALL",
  "CAP_CHOWN",
  "rwm",
  "vendor.com/class=device",
  "runc",
  "kata",
  "docker",
  "localhost/",
  "localhost//p",
  "runtime/default",
  "unconfined",
  "memory.swap.max",
  "memory.oom.group",
  "max",
  "1",
  "10.0.0.1",
  "fd00::1",
  "__proto__",
  "constructor",
  "annotation.a",
  "io.kubernetes.docker.type",
  "/kubepods.slice/kubepods-x.slice",
  "é\ud800",
);
const text = fc.oneof({ weight: 3, arbitrary: words }, fc.string({ maxLength: 8 }));
const int32 = fc.oneof(fc.constantFrom(0, 1, 80, 65_535, 65_536, -1), fc.integer());
const int64 = fc.oneof(
  fc.constantFrom(0n, 1n, -1n, 1000n, 100_000n, 1n << 26n, 1n << 27n, 2n ** 63n - 1n, -(2n ** 63n)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);

/** Messages of one kind with whatever the contract lets a caller send, most fields left out. */
export function anyMessage(desc: DescMessage): fc.Arbitrary<Message> {
  return fieldsOf(desc).map((init) => create(desc, init));
}

function fieldsOf(desc: DescMessage): fc.Arbitrary<Record<string, unknown>> {
  const entries = desc.fields.map((field) => [field.localName, mostlyAbsent(valueOf(field))] as const);
  return fc.record(Object.fromEntries(entries), { noNullPrototype: true });
}

function mostlyAbsent(value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });
}

function valueOf(field: DescField): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar);
    case "enum":
      return fc.constantFrom(...field.enum.values.map(({ number }) => number), 99);
    case "message":
      return anyMessage(field.message);
    case "map":
      return fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true });
    case "list":
      return fc.array(
        field.listKind === "message"
          ? anyMessage(field.message)
          : scalar(field.listKind === "scalar" ? field.scalar : ScalarType.INT32),
        { maxLength: 3 },
      );
  }
}

function scalar(type: ScalarType): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 8 });
    case ScalarType.INT64:
      return int64;
    case ScalarType.UINT64:
      return int64.map((value) => (value < 0n ? -(value + 1n) : value));
    case ScalarType.UINT32:
      return int32.map((value) => value >>> 0);
    default:
      return int32;
  }
}
