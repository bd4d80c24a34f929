import { ScalarType, type DescField } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import type { Sink } from "./sink.js";

export type WriteValue = (sink: Sink, value: unknown) => void;

export interface ScalarCodec {
  readonly write: WriteValue;
  readonly wireType: WireType;
  /** The default value, which is not written for a field with implicit presence. */
  readonly isZero: (value: unknown) => boolean;
}

/**
 * Encodes a scalar; an enum is an int32. The error for a value of the wrong type or range contains the name of
 * the field, not the value, which may be a secret.
 */
export function scalarCodec(type: ScalarType, field: DescField): ScalarCodec {
  const wrong = (value: unknown): never => {
    throw new TypeError(`cannot encode ${field.toString()}: got ${typeof value} or a value out of range`);
  };
  switch (type) {
    case ScalarType.STRING:
      return {
        wireType: WireType.LengthDelimited,
        isZero: (value) => value === "",
        write: (sink, value) => {
          if (typeof value !== "string") return wrong(value);
          sink.string(value);
        },
      };
    case ScalarType.BYTES:
      return {
        wireType: WireType.LengthDelimited,
        isZero: (value) => value instanceof Uint8Array && value.length === 0,
        write: (sink, value) => {
          if (!(value instanceof Uint8Array)) return wrong(value);
          sink.uint32(value.length);
          sink.raw(value);
        },
      };
    case ScalarType.BOOL:
      return {
        wireType: WireType.Varint,
        isZero: (value) => value === false,
        write: (sink, value) => {
          if (typeof value !== "boolean") return wrong(value);
          sink.byte(value ? 1 : 0);
        },
      };
    case ScalarType.DOUBLE:
      return {
        wireType: WireType.Bit64,
        isZero: (value) => Object.is(value, 0),
        write: (sink, value) => {
          if (typeof value !== "number") return wrong(value);
          sink.double(value);
        },
      };
    case ScalarType.INT32:
    case ScalarType.UINT32:
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return integerCodec(type, wrong);
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED32:
    case ScalarType.SFIXED64:
    case ScalarType.SINT32:
    case ScalarType.SINT64:
      throw new TypeError(`cannot encode ${field.toString()}: no field of CRI has this type`);
  }
}

type IntegerType = ScalarType.INT32 | ScalarType.UINT32 | ScalarType.INT64 | ScalarType.UINT64;

function integerCodec(type: IntegerType, wrong: (value: unknown) => never): ScalarCodec {
  return { wireType: WireType.Varint, isZero: isIntegerZero, write: integerWriter(type, wrong) };
}

function isIntegerZero(value: unknown): boolean {
  return value === 0 || value === 0n;
}

function integerWriter(type: IntegerType, wrong: (value: unknown) => never): WriteValue {
  switch (type) {
    case ScalarType.INT32:
      return (sink, value) => {
        if (typeof value !== "number" || (value | 0) !== value) return wrong(value);
        sink.int32(value);
      };
    case ScalarType.UINT32:
      return (sink, value) => {
        if (typeof value !== "number" || value >>> 0 !== value) return wrong(value);
        sink.uint32(value);
      };
    case ScalarType.INT64:
      return (sink, value) => {
        if (typeof value !== "bigint" || BigInt.asIntN(64, value) !== value) return wrong(value);
        sink.uint64(BigInt.asUintN(64, value));
      };
    case ScalarType.UINT64:
      return (sink, value) => {
        if (typeof value !== "bigint" || BigInt.asUintN(64, value) !== value) return wrong(value);
        sink.uint64(value);
      };
  }
}
