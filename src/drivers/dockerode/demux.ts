import type { OutputFrame } from "../../docker/index.js";
import { DaemonError, Malformed, Truncated } from "./failures.js";

/** A part of a frame of Docker's multiplexed stream: as much of it as has come. */
interface Piece {
  /** 0 and 1 are stdout, 2 stderr, 3 an error of dockerd. */
  readonly type: number;
  readonly data: Buffer;
  /** True for the last piece of its frame. */
  readonly last: boolean;
}

const headerBytes = 8;
const errorType = 3;
const maxErrorBytes = 64 * 1024;

/**
 * Takes a multiplexed stream apart, without copying payloads and without waiting for whole frames.
 * @throws Malformed when it is not such a stream; Truncated when it ends inside a frame.
 * @see Docker API, "Stream format" of POST /containers/{id}/attach
 */
async function* pieces(chunks: AsyncIterable<Buffer>): AsyncGenerator<Piece> {
  const header = Buffer.alloc(headerBytes);
  let headerFilled = 0;
  let remaining = 0;
  for await (const chunk of chunks) {
    let offset = 0;
    while (offset < chunk.length) {
      if (remaining > 0) {
        const data = chunk.subarray(offset, offset + remaining);
        offset += data.length;
        remaining -= data.length;
        yield { type: typeOf(header), data, last: remaining === 0 };
        continue;
      }
      const copied = chunk.copy(header, headerFilled, offset);
      offset += copied;
      headerFilled += copied;
      if (headerFilled < headerBytes) break;
      headerFilled = 0;
      remaining = header.readUInt32BE(4);
      const type = typeOf(header);
      if (remaining === 0) yield { type, data: Buffer.alloc(0), last: true };
    }
  }
  if (remaining > 0 || headerFilled > 0) throw new Truncated("the stream ended inside a frame");
}

/**
 * The output of an exec or attach, in pieces of any size.
 * @throws DaemonError when dockerd put an error into the stream.
 */
export async function* outputFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<OutputFrame> {
  const errors = new ErrorText();
  for await (const piece of pieces(chunks)) {
    if (piece.type === errorType) errors.add(piece);
    else if (piece.data.length > 0) yield { stream: streamOf(piece.type), data: piece.data };
  }
}

/** The output of a terminal: whatever comes, as stdout. */
export async function* terminalFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<OutputFrame> {
  for await (const data of chunks) yield { stream: "stdout", data };
}

/** Gathers an error frame and throws it once it is whole. */
class ErrorText {
  #text = "";

  add(piece: Piece): void {
    if (this.#text.length < maxErrorBytes) this.#text += piece.data.toString("utf8");
    if (piece.last) throw new DaemonError(this.#text.slice(0, maxErrorBytes));
  }
}

function typeOf(header: Buffer): number {
  const type = header[0] ?? 0;
  if (type > errorType || header[1] !== 0 || header[2] !== 0 || header[3] !== 0)
    throw new Malformed(`a frame begins with 0x${header.toString("hex")}: the stream is not multiplexed`);
  return type;
}

function streamOf(type: number): OutputFrame["stream"] {
  return type === 2 ? "stderr" : "stdout";
}
