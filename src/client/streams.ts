import type { DescService } from "@bufbuild/protobuf";
import type { CallOptions, Client } from "@connectrpc/connect";

type StreamCall = (request: unknown, options?: CallOptions) => AsyncIterable<unknown>;

/**
 * A client whose server streams end when their loop is left. Connect's own streams continue until their signal
 * aborts or the connection closes.
 */
export function endingStreams<S extends DescService>(service: S, client: Client<S>): Client<S> {
  const ending: Record<string, unknown> = { ...client };
  for (const method of service.methods) {
    if (method.methodKind !== "server_streaming") continue;
    const call = ending[method.localName] as StreamCall;
    ending[method.localName] = (request: unknown, options: CallOptions = {}) => {
      const leaving = new AbortController();
      const signal = options.signal ? AbortSignal.any([options.signal, leaving.signal]) : leaving.signal;
      return untilLeft(call(request, { ...options, signal }), leaving);
    };
  }
  return ending as Client<S>;
}

async function* untilLeft(messages: AsyncIterable<unknown>, leaving: AbortController): AsyncGenerator {
  try {
    yield* messages;
  } finally {
    leaving.abort();
  }
}
