import { ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { WireType } from "@bufbuild/protobuf/wire";
import { scalarCodec, type WriteValue } from "./scalars.js";
import type { Sink } from "./sink.js";

type Fields = Readonly<Record<string, unknown>>;
type WriteField = (sink: Sink, message: Fields) => void;

interface UnknownField {
  readonly no: number;
  readonly wireType: WireType;
  readonly data: Uint8Array;
}

const compiled = new WeakMap<DescMessage, WriteValue>();

/** The encodings of frozen messages, kept as long as the messages themselves. */
const encodings = new WeakMap<object, Uint8Array>();
/** True while a frozen message is written: the messages that it holds need no encoding of their own. */
let insideFrozen = false;

/**
 * A function that writes one message of a type, without its length, compiled from the descriptor on the
 * first use. Its output equals that of protobuf-es' `toBinary`, byte for byte.
 */
export function messageWriter(desc: DescMessage): WriteValue {
  const known = compiled.get(desc);
  if (known) return known;
  let fields: readonly WriteField[] = [];
  const write = (sink: Sink, message: object) => {
    for (const field of fields) field(sink, message as Fields);
    const { $unknown } = message as { $unknown?: readonly UnknownField[] };
    if ($unknown) writeUnknown(sink, $unknown);
  };
  const writer: WriteValue = (sink, value) => {
    const message = checkedMessage(desc, value);
    if (insideFrozen || !Object.isFrozen(message)) {
      write(sink, message);
      return;
    }
    const known = encodings.get(message);
    if (known) {
      sink.raw(known);
      return;
    }
    const start = sink.length;
    insideFrozen = true;
    try {
      write(sink, message);
    } finally {
      insideFrozen = false;
    }
    // A copy: a small Buffer would keep the whole pool that it is part of.
    encodings.set(message, new Uint8Array(sink.copy(start)));
  };
  // Stored before its fields are compiled: a message type may contain itself.
  compiled.set(desc, writer);
  fields = [...desc.fields].sort((a, b) => a.number - b.number).map(fieldWriter);
  return writer;
}

function checkedMessage(desc: DescMessage, value: unknown): object {
  const typeName = (value as { $typeName?: unknown } | null | undefined)?.$typeName;
  if (typeName === desc.typeName) return value as object;
  const found = typeof typeName === "string" ? typeName : typeof value;
  throw new TypeError(`cannot encode ${desc.typeName}: got ${found}`);
}

function writeUnknown(sink: Sink, fields: readonly UnknownField[]): void {
  for (const { no, wireType, data } of fields) {
    sink.uint32(tag(no, wireType));
    sink.raw(data);
  }
}

function fieldWriter(field: DescField): WriteField {
  if (field.oneof) throw new TypeError(`cannot encode ${field.toString()}: oneof groups are not compiled`);
  switch (field.fieldKind) {
    case "scalar":
    case "enum":
      return singular(field, field.scalar ?? ScalarType.INT32);
    case "message":
      return nested(field);
    case "list":
      return list(field);
    case "map":
      return map(field);
  }
}

function tag(number: number, wireType: WireType): number {
  return ((number << 3) | wireType) >>> 0;
}

function singular(field: DescField, type: ScalarType): WriteField {
  const { write, wireType, isZero } = scalarCodec(type, field);
  const head = tag(field.number, wireType);
  const name = field.localName;
  if (field.presence === FeatureSet_FieldPresence.IMPLICIT) {
    return (sink, message) => {
      const value = message[name];
      if (isZero(value)) return;
      sink.uint32(head);
      write(sink, value);
    };
  }
  return (sink, message) => {
    // Defaults are on the prototype; a field that was set is an own property.
    if (!Object.hasOwn(message, name) || message[name] === undefined) return;
    sink.uint32(head);
    write(sink, message[name]);
  };
}

function nested(field: DescField & { fieldKind: "message" }): WriteField {
  const write = delimited(field.message, field.delimitedEncoding);
  const head = tag(field.number, WireType.LengthDelimited);
  const name = field.localName;
  return (sink, message) => {
    const value = message[name];
    if (value === undefined) return;
    sink.uint32(head);
    write(sink, value);
  };
}

function delimited(desc: DescMessage, asGroup: boolean): WriteValue {
  if (asGroup) throw new TypeError(`cannot encode ${desc.typeName}: groups are not compiled`);
  const write = messageWriter(desc);
  return (sink, value) => {
    const mark = sink.open();
    write(sink, value);
    sink.close(mark);
  };
}

function list(field: DescField & { fieldKind: "list" }): WriteField {
  const name = field.localName;
  const { write, wireType } = elementCodec(field);
  if (field.packed) {
    const head = tag(field.number, WireType.LengthDelimited);
    return (sink, message) => {
      const items = message[name] as readonly unknown[];
      if (items.length === 0) return;
      sink.uint32(head);
      const mark = sink.open();
      for (const item of items) write(sink, item);
      sink.close(mark);
    };
  }
  const head = tag(field.number, wireType);
  return (sink, message) => {
    for (const item of message[name] as readonly unknown[]) {
      sink.uint32(head);
      write(sink, item);
    }
  };
}

function elementCodec(field: DescField & { fieldKind: "list" }): { write: WriteValue; wireType: WireType } {
  if (field.listKind === "message") {
    return { write: delimited(field.message, field.delimitedEncoding), wireType: WireType.LengthDelimited };
  }
  return scalarCodec(field.scalar ?? ScalarType.INT32, field);
}

function map(field: DescField & { fieldKind: "map" }): WriteField {
  if (field.mapKey !== ScalarType.STRING) {
    throw new TypeError(`cannot encode ${field.toString()}: only maps by string are compiled`);
  }
  const name = field.localName;
  const head = tag(field.number, WireType.LengthDelimited);
  const keyHead = tag(1, WireType.LengthDelimited);
  const { write, wireType } =
    field.mapKind === "message"
      ? { write: delimited(field.message, false), wireType: WireType.LengthDelimited }
      : scalarCodec(field.scalar ?? ScalarType.INT32, field);
  const valueHead = tag(2, wireType);
  return (sink, message) => {
    for (const [key, value] of Object.entries(message[name] as Fields)) {
      sink.uint32(head);
      const mark = sink.open();
      sink.uint32(keyHead);
      sink.string(key);
      sink.uint32(valueHead);
      write(sink, value);
      sink.close(mark);
    }
  };
}
