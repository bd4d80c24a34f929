import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { messageWriter } from "./encode/compile.js";
import { Sink } from "./encode/sink.js";

const sink = new Sink();

/**
 * Encodes a message as protobuf-es' `toBinary` does, byte for byte, many times faster. A frozen
 * message, at any depth, is encoded once: see `deepFreeze`.
 * @param message A whole message, as `create` makes it; an init shape must go through `create` first.
 * @throws TypeError with the name of a field whose value has the wrong type.
 */
export function encodeMessage<D extends DescMessage>(schema: D, message: MessageShape<D>): Uint8Array {
  sink.reset();
  messageWriter(schema)(sink, message);
  return sink.copy();
}

/** Bytes before each message of a gRPC stream: a flag and the length. */
const framePrefixBytes = 5;

/** Encodes a message as one uncompressed gRPC frame: a zero byte, its length in four bytes, the message. */
export function encodeFrame<D extends DescMessage>(schema: D, message: MessageShape<D>): Buffer {
  sink.reset();
  for (let index = 0; index < framePrefixBytes; index++) sink.byte(0);
  messageWriter(schema)(sink, message);
  const frame = sink.copy();
  frame.writeUInt32BE(frame.length - framePrefixBytes, 1);
  return frame;
}
