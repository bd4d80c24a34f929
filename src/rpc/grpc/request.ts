import type { ServerHttp2Stream } from "node:http2";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { fromBinary, type DescMessage, type Message } from "@bufbuild/protobuf";
import { messageOf, ShimError } from "../../base/index.js";

const prefixBytes = 5;
const compressedFlag = 1;

/** The encodings of request messages that are read. */
export const acceptedEncodings = "identity,gzip";

/** A client that has not sent its request by then is not going to. */
const requestDeadlineMs = 60_000;

const unzip = promisify(gunzip);

/**
 * Reads the one message of a unary or server-streaming request.
 * @param encoding The header `grpc-encoding`.
 * @throws ShimError "resource-exhausted" as soon as the message says that it is larger than `maxBytes`,
 *   unpacked or packed; "unsupported" for other than one message and for unknown encodings;
 *   "invalid-argument" for bytes that are no frame or no message; "cancelled" when the client goes.
 */
export async function readRequest(
  stream: ServerHttp2Stream,
  schema: DescMessage,
  encoding: unknown,
  maxBytes: number,
): Promise<Message> {
  const frame = await readFrame(stream, maxBytes);
  const flag = frame[0];
  const packed = frame.subarray(prefixBytes);
  const bytes = flag === compressedFlag ? await unpack(packed, encoding, maxBytes) : packed;
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw new ShimError("invalid-argument", `the request is no ${schema.typeName}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** Everything that the client sends, checked to be exactly one frame. */
function readFrame(stream: ServerHttp2Stream, maxBytes: number): Promise<Buffer> {
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
      chunks.push(chunk);
      received += chunk.length;
      try {
        expected ??= received < prefixBytes ? undefined : frameLength(chunks, maxBytes);
        if (expected !== undefined && received > expected) {
          throw new ShimError("unsupported", "the method takes one request message, and more were sent");
        }
      } catch (error) {
        fail(error as ShimError);
      }
    };
    const onEnd = () => {
      if (received === 0)
        fail(new ShimError("unsupported", "the method takes one request message, and none was sent"));
      else if (received !== expected)
        fail(new ShimError("invalid-argument", "the request ends within its message"));
      else {
        end(() => {
          resolve(join(chunks));
        });
      }
    };
    const onClose = () => {
      fail(new ShimError("cancelled", "the caller has gone before its request had arrived"));
    };
    const timer = setTimeout(() => {
      fail(new ShimError("deadline-exceeded", `the request had not arrived within ${requestDeadlineMs} ms`));
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
      `the request is no gRPC message: it starts with the flag ${flag ?? 0}`,
    );
  }
  const length = prefix.readUInt32BE(1);
  if (length > maxBytes) throw tooLarge("request", length, maxBytes);
  return prefixBytes + length;
}

function join(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

async function unpack(packed: Buffer, encoding: unknown, maxBytes: number): Promise<Buffer> {
  if (encoding !== "gzip") {
    const named = typeof encoding === "string" ? JSON.stringify(encoding.slice(0, 64)) : "none";
    throw new ShimError(
      "unsupported",
      `the request is compressed with grpc-encoding ${named}; ${acceptedEncodings} are read`,
    );
  }
  try {
    return await unzip(packed, { maxOutputLength: maxBytes });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
      throw new ShimError(
        "resource-exhausted",
        `the request is larger than ${maxBytes} bytes once unpacked`,
        { cause },
      );
    }
    throw new ShimError("invalid-argument", `the request's gzip data is damaged: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** The error for a message beyond its limit. */
export function tooLarge(what: "request" | "answer", bytes: number, maxBytes: number): ShimError {
  return new ShimError(
    "resource-exhausted",
    `the ${what} has ${bytes} bytes, and ${maxBytes} are allowed in one message`,
  );
}
