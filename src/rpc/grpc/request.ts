import type { ServerHttp2Stream } from "node:http2";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fromBinary, type DescMessage, type Message } from "@bufbuild/protobuf";
import { messageOf, ShimError } from "../../base/index.js";
import type { Hold } from "../held-bytes.js";
import { checkFields } from "../request-size.js";
import { unpack, type Receiver } from "./unpack.js";

const prefixBytes = 5;
const compressedFlag = 1;

/** How long a client may take to send its request. */
export const requestDeadlineMs = 60_000;

/** A larger request is decoded in its own turn of the event loop, and its handler runs in the next. */
const largeBytes = 64 * 1024;

/**
 * Reads the one message of a unary or server-streaming request.
 * @param encoding The header `grpc-encoding`.
 * @throws ShimError "resource-exhausted" when the message exceeds `maxBytes`, compressed or not, has too many fields, or
 *   all calls together hold too much; "unsupported" for a number of messages other than one and for unknown encodings;
 *   "invalid-argument" for a malformed frame or message; "cancelled" when the client disconnects.
 */
export async function readRequest(
  stream: ServerHttp2Stream,
  schema: DescMessage,
  encoding: unknown,
  maxBytes: number,
  receiver: Receiver,
): Promise<Message> {
  const frame = await readFrame(stream, maxBytes, receiver.hold);
  const flag = frame[0];
  const packed = frame.subarray(prefixBytes);
  const bytes = flag === compressedFlag ? await unpack(packed, encoding, maxBytes, receiver) : packed;
  const isLarge = bytes.length > largeBytes;
  if (isLarge) await nextTurn();
  const message = decode(schema, bytes);
  if (isLarge) await nextTurn();
  return message;
}

function decode(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    checkFields(schema, bytes);
    return fromBinary(schema, bytes);
  } catch (cause) {
    if (cause instanceof ShimError) throw cause;
    throw new ShimError(
      "invalid-argument",
      `the request is not a valid ${schema.typeName}: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
}

/** Reads everything that the client sends, which must be exactly one frame. */
function readFrame(stream: ServerHttp2Stream, maxBytes: number, hold: Hold): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let received = 0;
    let expected: number | undefined;
    const end = (settle: () => void) => {
      clearTimeout(timer);
      stream.off("data", onData).off("end", onEnd).off("close", onClose);
      settle();
    };
    const fail = (error: ShimError) => {
      end(() => {
        reject(error);
      });
    };
    const onData = (chunk: Buffer) => {
      try {
        hold.add(chunk.length);
        chunks.push(chunk);
        received += chunk.length;
        expected ??= received < prefixBytes ? undefined : frameLength(chunks, maxBytes);
        if (expected !== undefined && received > expected) {
          throw new ShimError("unsupported", "the method takes one request message, but more were sent");
        }
      } catch (error) {
        fail(error as ShimError);
      }
    };
    const onEnd = () => {
      if (received === 0)
        fail(new ShimError("unsupported", "the method takes one request message, but none was sent"));
      else if (received !== expected) fail(new ShimError("invalid-argument", "the request is truncated"));
      else {
        end(() => {
          resolve(join(chunks));
        });
      }
    };
    const onClose = () => {
      fail(new ShimError("cancelled", "the caller disconnected before its request was complete"));
    };
    const timer = setTimeout(() => {
      fail(new ShimError("deadline-exceeded", `the request was not complete within ${requestDeadlineMs} ms`));
    }, requestDeadlineMs);
    stream.on("data", onData).on("end", onEnd).on("close", onClose);
  });
}

/** The whole length of the frame whose prefix has arrived. */
function frameLength(chunks: Buffer[], maxBytes: number): number {
  const prefix = join(chunks);
  chunks.splice(0, chunks.length, prefix);
  const flag = prefix[0];
  if (flag !== 0 && flag !== compressedFlag) {
    throw new ShimError(
      "invalid-argument",
      `the request is not a gRPC message: it starts with the flag ${flag ?? 0}`,
    );
  }
  const length = prefix.readUInt32BE(1);
  if (length > maxBytes) throw tooLarge("request", length, maxBytes);
  return prefixBytes + length;
}

function join(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

/** The error for a message beyond its limit. */
export function tooLarge(what: "request" | "answer", bytes: number, maxBytes: number): ShimError {
  return new ShimError(
    "resource-exhausted",
    `the ${what} has ${bytes} bytes, but a message may have at most ${maxBytes}`,
  );
}
