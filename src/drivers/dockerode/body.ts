import type { IncomingMessage } from "node:http";
import { ShimError } from "../../base/index.js";
import type { EngineCall } from "./call.js";
import { Malformed, Truncated } from "./failures.js";

/** The limit of an answer that is read whole. */
export const maxAnswerBytes = 256 * 1024 * 1024;

/** The limit of an error answer, which is a sentence. */
const maxErrorBytes = 1024 * 1024;

/**
 * Reads an answer as it arrives; leaving the loop closes the connection.
 * @param idleMs Ends the call when a read takes longer.
 * @throws Whatever ended the call, or the connection's error.
 */
export async function* chunksOf(
  call: EngineCall,
  response: AsyncIterable<Buffer> & { destroy(): unknown },
  idleMs?: number,
): AsyncGenerator<Buffer> {
  const source = response[Symbol.asyncIterator]();
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
  call: EngineCall,
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
 * Reads a whole answer, with events: the iterator of a stream costs more than the rest of a short call.
 * @throws Malformed when it is longer than `maxBytes`; Truncated; whatever ended the call.
 */
export async function readAll(
  call: EngineCall,
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
    // Every answer is closed in the end; creating an error for each would be the most expensive part.
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

/** The text of an error answer: the `message` of its JSON, or the whole body. */
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
