import { setImmediate as nextTurn } from "node:timers/promises";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { messageOf, ShimError } from "../base/index.js";
import type { Calls } from "./calls.js";
import { failureOf } from "./errors.js";
import { requestDeadlineMs } from "./grpc/request.js";
import { checkFields, checkJsonValues } from "./request-size.js";

/** Bytes before each message of gRPC, gRPC-Web and Connect's streams. */
const prefixBytes = 5;

/**
 * A handler of Connect's that gets a request only once it is here as a whole, within its deadline, and has no more
 * fields than are decoded: Connect itself would begin to build them.
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
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of withinDeadline(body)) {
      hold.add(chunk.length);
      chunks.push(chunk);
      bytes += chunk.length;
      // Connect refuses it, in the protocol of the request.
      if (bytes > calls.limits.readMaxBytes + prefixBytes) break;
    }
    const whole = Buffer.concat(chunks, bytes);
    if (bytes <= calls.limits.readMaxBytes + prefixBytes) check(whole, request, handler);
    await nextTurn();
    yield whole;
  } catch (error) {
    throw failureOf(error, undefined).error;
  } finally {
    hold.release();
  }
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
    const text = `the request is no ${method.input.typeName}: ${messageOf(cause)}`;
    throw new ShimError("invalid-argument", text, { cause });
  }
}

async function* withinDeadline(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = body[Symbol.asyncIterator]();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const text = `the request had not arrived within ${requestDeadlineMs} ms`;
    timer = setTimeout(reject, requestDeadlineMs, new ShimError("deadline-exceeded", text));
  });
  late.catch(() => undefined);
  try {
    for (;;) {
      const next = await Promise.race([source.next(), late]);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    clearTimeout(timer);
  }
}
