import type { OutputFrame } from "../../docker/index.js";
import { DaemonError, Malformed, Truncated } from "./failures.js";

const headerBytes = 8;
const stderrType = 2;
const errorType = 3;
const maxErrorLength = 64 * 1024;

/**
 * The output of an exec or attach, from Docker's multiplexed stream, in pieces of any size: payloads are not copied, and
 * incomplete frames are not buffered.
 * @throws Malformed for another kind of stream; Truncated when it ends inside a frame; DaemonError for an error that
 *   dockerd wrote into it.
 * @see Docker API, "Stream format" of POST /containers/{id}/attach
 */
export async function* outputFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<OutputFrame> {
  const header = Buffer.alloc(headerBytes);
  let headerFilled = 0;
  let remaining = 0;
  let errorText = "";
  for await (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length) {
      if (remaining === 0) {
        const copied = chunk.copy(header, headerFilled, at);
        at += copied;
        headerFilled += copied;
        if (headerFilled < headerBytes) break;
        headerFilled = 0;
        remaining = header.readUInt32BE(4);
        if (typeOf(header) === errorType && remaining === 0) throw new DaemonError("");
        continue;
      }
      const data = chunk.subarray(at, at + remaining);
      at += data.length;
      remaining -= data.length;
      if (header[0] !== errorType) {
        yield { stream: header[0] === stderrType ? "stderr" : "stdout", data };
        continue;
      }
      if (errorText.length < maxErrorLength) errorText += data.toString("utf8");
      if (remaining === 0) throw new DaemonError(errorText.slice(0, maxErrorLength));
    }
  }
  if (remaining > 0 || headerFilled > 0) throw new Truncated("the stream ended inside a frame");
}

/** The output of a terminal, which has no frames: all of it is stdout. */
export async function* terminalFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<OutputFrame> {
  for await (const data of chunks) yield { stream: "stdout", data };
}

function typeOf(header: Buffer): number {
  const type = header[0] ?? 0;
  if (type > errorType || header[1] !== 0 || header[2] !== 0 || header[3] !== 0)
    throw new Malformed(`a frame begins with 0x${header.toString("hex")}: the stream is not multiplexed`);
  return type;
}
