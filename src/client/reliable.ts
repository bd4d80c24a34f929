import type { DescMessage } from "@bufbuild/protobuf";
import type { StreamResponse, Transport } from "@connectrpc/connect";
import { clarified, isRefusedStream } from "./errors.js";

/**
 * A transport whose unary calls have a deadline, and whose streams have none: Connect's own default would end
 * event streams. A call that a closing server has refused unprocessed is retried once, over a new connection.
 * Lost and failed connections are UNAVAILABLE.
 */
export function reliable(transport: Transport, requestTimeoutMs: number): Transport {
  return {
    unary: (method, signal, timeoutMs, header, input, contextValues) =>
      once(signal, () =>
        transport.unary(method, signal, timeoutMs ?? requestTimeoutMs, header, input, contextValues),
      ),
    stream: async (method, signal, timeoutMs, header, input, contextValues) => {
      try {
        const response = await transport.stream(method, signal, timeoutMs, header, input, contextValues);
        return { ...response, message: clarifiedMessages(response, signal) };
      } catch (error) {
        throw clarified(error, signal);
      }
    },
  };
}

async function once<T>(signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
  try {
    try {
      return await call();
    } catch (error) {
      if (!isRefusedStream(error)) throw error;
      return await call();
    }
  } catch (error) {
    throw clarified(error, signal);
  }
}

async function* clarifiedMessages<I extends DescMessage, O extends DescMessage>(
  response: StreamResponse<I, O>,
  signal: AbortSignal | undefined,
): StreamResponse<I, O>["message"] {
  try {
    yield* response.message;
  } catch (error) {
    throw clarified(error, signal);
  }
}
