import type { IncomingMessage } from "node:http";
import { ShimError } from "../../base/index.js";
import type { Call } from "./call.js";
import { Malformed, Truncated } from "./failures.js";
import type { PulledAnswer } from "./log-reader/pulled-answer.js";

/** Longer answers are not Docker's. */
export const maxAnswerBytes = 256 * 1024 * 1024;

/** Errors are a sentence; more is not read. */
const maxErrorBytes = 1024 * 1024;

/**
 * Reads an answer as it comes; leaving the loop closes the connection.
 * @param idleMs Ends the call when nothing comes for this long while somebody waits.
 * @throws Whatever ended the call, or the connection's error.
 */
export async function* chunksOf(
  call: Call,
  response: IncomingMessage | PulledAnswer,
  idleMs?: number,
): AsyncGenerator<Buffer> {
  const source = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  try {
    for (;;) {
      call.check();
      const next = await nextWithin(call, source, idleMs);
      if (next.done === true) break;
      yield next.value;
    }
    call.check();
  } catch (error) {
    throw call.signal.aborted ? call.reason : error;
  } finally {
    response.destroy();
  }
}

async function nextWithin(
  call: Call,
  source: AsyncIterator<Buffer>,
  idleMs: number | undefined,
): Promise<IteratorResult<Buffer, unknown>> {
  if (idleMs === undefined) return await source.next();
  const timer = setTimeout(() => {
    const text = `${call.operation}: Docker's answer stopped: nothing came for ${idleMs} ms`;
    call.fail(new ShimError("deadline-exceeded", text, { operation: call.operation }));
  }, idleMs);
  try {
    return await source.next();
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Reads a whole answer, by its events: the iterator of a stream costs more than all else that a short call does.
 * @throws Malformed when it is longer than `maxBytes`; Truncated; whatever ended the call.
 */
export async function readAll(
  call: Call,
  response: IncomingMessage,
  maxBytes = maxAnswerBytes,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  const tooLong = () => new Malformed(`it is longer than ${maxBytes} bytes`);
  if (Number(response.headers["content-length"] ?? 0) > maxBytes) {
    response.destroy();
    throw tooLong();
  }
  const read = new Promise<void>((resolve, reject) => {
    // Every answer is closed at last, and an error costs more than all else here.
    const cut = () => {
      if (!response.readableEnded) reject(new Truncated("it ended too early"));
    };
    if (response.destroyed) cut();
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) reject(tooLong());
      else parts.push(chunk);
    });
    response.on("end", resolve).on("error", reject).on("close", cut);
  });
  try {
    await call.guard(read);
  } finally {
    response.destroy();
  }
  return Buffer.concat(parts, bytes);
}

/** Docker's words of an error answer: its JSON `message`, or the text as it is. */
export async function readErrorText(chunks: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes > maxErrorBytes) break;
  }
  const text = Buffer.concat(parts, bytes).toString("utf8");
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === "object" && json !== null && "message" in json && typeof json.message === "string")
      return json.message;
  } catch {
    // Proxies answer in plain text or HTML.
  }
  return text;
}

/** @throws Malformed when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Malformed(`it is not JSON: ${JSON.stringify(text.slice(0, 200))}`, { cause: error });
  }
}
