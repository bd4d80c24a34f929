import { isAscii } from "node:buffer";
import { ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { ShimError } from "../base/index.js";
import { scalarCodec } from "./encode/scalars.js";

/**
 * The most fields of a request; they take some 40 ms to decode. The environment of a pod in a namespace with 2,200
 * services, with seven variables each, stays below.
 */
const maxFields = 80_000;

/** The weight of a message, and of a text that is not ASCII: they take as long to decode as this many fields. */
const costlyField = 3;

/** The most bytes of texts that are not ASCII. They take six times as long to decode: some 20 ms. */
const maxWideBytes = 2 * 1024 * 1024;

/** JSON is written by hand; kubelet does not use it. */
const maxJsonBytes = 4 * 1024 * 1024;
const maxJsonValues = 30_000;

/**
 * Counts the fields of an encoded message, nested messages included, before it is decoded.
 * @throws ShimError "resource-exhausted" for more than 80,000 fields, and for more than 2 MiB of texts that are not ASCII.
 * @throws Error for a malformed message.
 */
export function checkFields(schema: DescMessage, bytes: Uint8Array): void {
  new FieldCounter(bytes).message(shapeOf(schema), bytes.length);
}

/**
 * Counts the values of a JSON text, as {@link checkFields} does, before it is parsed.
 * @throws ShimError "resource-exhausted", also for more than 4 MiB.
 */
export function checkJsonValues(text: Uint8Array): void {
  if (text.length > maxJsonBytes) throw tooMuch(`${maxJsonBytes} bytes of JSON`);
  let values = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at];
    if (byte === quote) quoted = !quoted;
    else if (quoted) at += byte === backslash ? 1 : 0;
    else if (byte === comma || byte === bracket || byte === brace) {
      if (++values > maxJsonValues) throw tooMuch(`${maxJsonValues} values`);
    }
  }
}

const [quote, backslash, comma, bracket, brace] = Buffer.from('"\\,[{');

/** The wire types. @see Protocol Buffers, Encoding */
const varint: number = WireType.Varint;
const fixed64: number = WireType.Bit64;
const lengthDelimited: number = WireType.LengthDelimited;
const fixed32: number = WireType.Bit32;

/** The parts of a message type that are needed to find its fields. */
interface MessageShape {
  readonly fields: ReadonlyMap<number, FieldShape>;
  /** An entry of a map, which has only a key and a value. */
  readonly isEntry: boolean;
}

interface FieldShape {
  readonly name: string;
  readonly wireType: number;
  readonly isList: boolean;
  readonly isText: boolean;
  readonly nested: (() => MessageShape) | undefined;
}

const shapes = new WeakMap<DescMessage, MessageShape>();

function shapeOf(desc: DescMessage): MessageShape {
  let shape = shapes.get(desc);
  if (!shape) {
    shape = {
      fields: new Map(desc.fields.map((field) => [field.number, fieldShape(field)])),
      isEntry: false,
    };
    shapes.set(desc, shape);
  }
  return shape;
}

function fieldShape(field: DescField): FieldShape {
  const name = field.toString();
  const value = {
    name,
    wireType: field.message ? lengthDelimited : scalarCodec(field.scalar ?? ScalarType.INT32, field).wireType,
    isList: field.fieldKind === "list",
    isText: field.scalar === ScalarType.STRING,
    nested: field.message && (() => shapeOf(field.message)),
  };
  if (field.fieldKind !== "map") return value;
  const key = {
    ...value,
    wireType: scalarCodec(field.mapKey, field).wireType,
    isText: true,
    nested: undefined,
  };
  const entry = {
    fields: new Map([
      [1, key],
      [2, value],
    ]),
    isEntry: true,
  };
  return { name, wireType: lengthDelimited, isList: true, isText: false, nested: () => entry };
}

class FieldCounter {
  private at = 0;
  private fields = 0;
  private wideBytes = 0;

  constructor(private readonly bytes: Uint8Array) {}

  message({ fields, isEntry }: MessageShape, end: number): void {
    while (this.at < end) {
      const tag = this.varint();
      const field = fields.get(Math.floor(tag / 8));
      this.count(field?.nested ? costlyField : 1);
      const wireType = tag % 8;
      if (!field && isEntry) throw new Error("the entry of a map has a third field");
      if (wireType === lengthDelimited) this.delimited(field);
      else if (field && field.wireType !== wireType) throw wrongWireType(field, wireType);
      else this.number(wireType);
    }
    if (this.at > end) throw tooShort();
  }

  private delimited(field: FieldShape | undefined): void {
    const length = this.varint();
    const end = this.at + length;
    if (end > this.bytes.length) throw tooShort();
    if (field?.nested) this.message(field.nested(), end);
    else if (field && field.wireType !== lengthDelimited) this.packed(field, end);
    else this.bytesUntil(end, field?.isText === true);
  }

  private bytesUntil(end: number, isText: boolean): void {
    if (isText && !isAscii(this.bytes.subarray(this.at, end))) {
      this.count(costlyField - 1);
      this.wideBytes += end - this.at;
    }
    if (this.wideBytes > maxWideBytes) throw tooMuch(`${maxWideBytes} bytes of texts that are not ASCII`);
    this.at = end;
  }

  private packed(field: FieldShape, end: number): void {
    if (!field.isList) throw wrongWireType(field, lengthDelimited);
    while (this.at < end) {
      this.count(1);
      this.number(field.wireType);
    }
    if (this.at > end) throw tooShort();
  }

  private number(wireType: number): void {
    if (wireType === varint) this.varint();
    else if (wireType === fixed32) this.at += 4;
    else if (wireType === fixed64) this.at += 8;
    else throw new Error(`no field has the wire type ${wireType}`);
    if (this.at > this.bytes.length) throw tooShort();
  }

  private varint(): number {
    let value = 0;
    for (let scale = 1, size = 0; size < 10; scale *= 128, size++) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw tooShort();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new Error("a number has more than ten bytes");
  }

  private count(fields: number): void {
    this.fields += fields;
    if (this.fields > maxFields) throw tooMuch(`${maxFields} fields`);
  }
}

function wrongWireType(field: FieldShape, wireType: number): Error {
  return new Error(`${field.name} has the wire type ${wireType}`);
}

function tooShort(): Error {
  return new Error("it ends within a field");
}

function tooMuch(limit: string): ShimError {
  return new ShimError("resource-exhausted", `the request has more than ${limit}, which is the limit`);
}
