import { setImmediate as nextTurn } from "node:timers/promises";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { messageOf, ShimError, withDeadline } from "../base/index.js";
import type { Calls } from "./calls.js";
import { failureOf } from "./errors.js";
import { requestDeadlineMs } from "./grpc/request.js";
import type { Hold } from "./held-bytes.js";
import { checkFields, checkJsonValues } from "./request-size.js";

/** Bytes before each message of gRPC, gRPC-Web and Connect's streams. */
const prefixBytes = 5;

/**
 * Wraps a handler of Connect so that a request is read whole, within a deadline, and its fields are counted before
 * Connect decodes them.
 */
export function withCheckedBody(handler: UniversalHandler, calls: Calls): UniversalHandler {
  const checked = (request: UniversalServerRequest) =>
    isBytes(request.body)
      ? handler({ ...request, body: checkedBody(request, request.body, handler, calls) })
      : handler(request);
  const { protocolNames, service, method, requestPath, allowedMethods, supportedContentType } = handler;
  return Object.assign(checked, {
    protocolNames,
    service,
    method,
    requestPath,
    allowedMethods,
    supportedContentType,
  });
}

function isBytes(body: UniversalServerRequest["body"]): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

async function* checkedBody(
  request: UniversalServerRequest,
  body: AsyncIterable<Uint8Array>,
  handler: UniversalHandler,
  calls: Calls,
): AsyncGenerator<Uint8Array> {
  const hold = calls.held.open();
  const maxBytes = calls.limits.readMaxBytes + prefixBytes;
  try {
    const timeoutText = `the request had not arrived within ${requestDeadlineMs} ms`;
    const whole = await withDeadline("request", { deadlineMs: requestDeadlineMs, timeoutText }, (ended) =>
      readBody(body, maxBytes, hold, ended),
    );
    // Connect refuses a longer one, in the protocol of the request.
    if (whole.length <= maxBytes) check(whole, request, handler);
    await nextTurn();
    yield whole;
  } catch (error) {
    throw failureOf(error, undefined).error;
  } finally {
    hold.release();
  }
}

/** Reads the body up to its end, or to the first piece that exceeds `maxBytes`. */
async function readBody(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  hold: Hold,
  ended: AbortSignal,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    ended.throwIfAborted();
    hold.add(chunk.length);
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > maxBytes) break;
  }
  return Buffer.concat(chunks, bytes);
}

function check(whole: Buffer, request: UniversalServerRequest, { method }: UniversalHandler): void {
  const contentType = request.header.get("content-type") ?? "";
  const isEnveloped = !/^application\/(?:json|proto)\b/i.test(contentType);
  const message = isEnveloped ? whole.subarray(prefixBytes) : whole;
  if (/json/i.test(contentType)) {
    checkJsonValues(message);
    return;
  }
  try {
    checkFields(method.input, message);
  } catch (cause) {
    if (cause instanceof ShimError) throw cause;
    const text = `the request is not a valid ${method.input.typeName}: ${messageOf(cause)}`;
    throw new ShimError("invalid-argument", text, { cause });
  }
}
