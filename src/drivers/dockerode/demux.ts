import type { ChunkParser } from "../../base/index.js";
import type { OutputFrame } from "../../docker/index.js";
import { DaemonError, Malformed, Truncated } from "./failures.js";

const headerBytes = 8;
const stderrType = 2;
const errorType = 3;
const maxErrorLength = 64 * 1024;

/**
 * The output of an exec or attach, from Docker's multiplexed stream, in pieces of any size: payloads are not copied, and
 * incomplete frames are not buffered. Throws Malformed for another kind of stream, Truncated when it ends inside a frame,
 * and DaemonError for an error that dockerd wrote into it.
 * @see Docker API, "Stream format" of POST /containers/{id}/attach
 */
export class OutputParser implements ChunkParser<OutputFrame> {
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  #remaining = 0;
  #errorText = "";

  *parse(chunk: Buffer): Generator<OutputFrame> {
    for (let at = 0; at < chunk.length;) {
      if (this.#remaining === 0) {
        at += this.#parseHeader(chunk, at);
        continue;
      }
      const data = chunk.subarray(at, at + this.#remaining);
      at += data.length;
      this.#remaining -= data.length;
      const [type] = this.#header;
      if (type === errorType) this.#parseError(data);
      else yield { stream: type === stderrType ? "stderr" : "stdout", data };
    }
  }

  end(): void {
    if (this.#remaining > 0 || this.#headerFilled > 0) throw new Truncated("the stream ended inside a frame");
  }

  /** @returns How many bytes it has taken. */
  #parseHeader(chunk: Buffer, at: number): number {
    const copied = chunk.copy(this.#header, this.#headerFilled, at);
    this.#headerFilled += copied;
    if (this.#headerFilled === headerBytes) {
      this.#headerFilled = 0;
      this.#remaining = this.#header.readUInt32BE(4);
      if (typeOf(this.#header) === errorType && this.#remaining === 0) throw new DaemonError("");
    }
    return copied;
  }

  #parseError(data: Buffer): void {
    if (this.#errorText.length < maxErrorLength) this.#errorText += data.toString("utf8");
    if (this.#remaining === 0) throw new DaemonError(this.#errorText.slice(0, maxErrorLength));
  }
}

/** The output of a terminal, which has no frames: all of it is stdout. */
export const terminalOutput: ChunkParser<OutputFrame> = {
  parse: (data) => [{ stream: "stdout", data }],
  end: () => undefined,
};

function typeOf(header: Buffer): number {
  const type = header[0] ?? 0;
  if (type > errorType || header[1] !== 0 || header[2] !== 0 || header[3] !== 0)
    throw new Malformed(`a frame begins with 0x${header.toString("hex")}: the stream is not multiplexed`);
  return type;
}
