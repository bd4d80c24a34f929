import { createGunzip } from "node:zlib";
import { messageOf, ShimError } from "../../base/index.js";
import type { Hold } from "../held-bytes.js";

/** The supported encodings of request messages. */
export const acceptedEncodings = "identity,gzip";

/** The limits of the call that a request is for. */
export interface Receiver {
  /** Aborts when the caller cancels. */
  readonly signal: AbortSignal;
  readonly hold: Hold;
}

/**
 * Decompresses a message in pieces, until the caller cancels.
 * @param encoding The header `grpc-encoding`.
 * @throws ShimError "unsupported" for unknown encodings; "resource-exhausted" beyond `maxBytes`, and when all calls
 *   together hold too much; "invalid-argument" for damaged data; "cancelled".
 */
export async function unpack(
  packed: Buffer,
  encoding: unknown,
  maxBytes: number,
  { hold, signal }: Receiver,
): Promise<Buffer> {
  if (encoding !== "gzip") throw unknownEncoding(encoding);
  const gunzip = createGunzip();
  const stop = () =>
    gunzip.destroy(new ShimError("cancelled", "the caller disconnected while its request was decompressed"));
  signal.addEventListener("abort", stop, { once: true });
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    if (signal.aborted) stop();
    gunzip.end(packed);
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes)
        throw new ShimError("resource-exhausted", `the request exceeds ${maxBytes} bytes when decompressed`);
      hold.add(chunk.length);
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof ShimError) throw cause;
    throw new ShimError("invalid-argument", `the gzip data of the request is corrupt: ${messageOf(cause)}`, {
      cause,
    });
  } finally {
    signal.removeEventListener("abort", stop);
    gunzip.destroy();
  }
  return Buffer.concat(chunks, bytes);
}

function unknownEncoding(encoding: unknown): ShimError {
  const named = typeof encoding === "string" ? JSON.stringify(encoding.slice(0, 64)) : "none";
  return new ShimError(
    "unsupported",
    `the grpc-encoding ${named} of the request is not supported: use ${acceptedEncodings}`,
  );
}
