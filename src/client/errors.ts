import { Code, ConnectError } from "@connectrpc/connect";

/** Node's error codes for a missing or lost connection. */
const connectionFailures: ReadonlySet<unknown> = new Set([
  "ENOENT",
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
]);

/** Node's error codes for a failed TLS handshake, or a certificate that is not trusted. */
const handshakeFailure =
  /^(?:ERR_SSL_|ERR_TLS_|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_(?:GET|VERIFY|DECRYPT|DECODE)_)/;

/**
 * Corrects the code of an error. Connect has "internal" for a missing socket file, for refused streams and for failed
 * TLS handshakes, and "canceled" for calls with a lost connection. All become UNAVAILABLE: a later call may succeed.
 */
export function clarified(error: unknown, signal: AbortSignal | undefined): unknown {
  if (!(error instanceof ConnectError) || signal?.aborted) return error;
  const cut = error.code === Code.Canceled && error.rawMessage.startsWith("http/2 stream closed");
  const code = codeOf(error.cause);
  const unconnected =
    connectionFailures.has(code) || (typeof code === "string" && handshakeFailure.test(code));
  if (!cut && !isRefusedStream(error) && !unconnected) return error;
  const message = cut ? "the connection was lost before the answer" : error.rawMessage;
  return new ConnectError(message, Code.Unavailable, error.metadata, undefined, error);
}

/**
 * HTTP/2 guarantees that a refused stream was not processed. Node reports it in its text only.
 * @see RFC 9113, 8.7 Request Reliability
 */
export function isRefusedStream(error: unknown): boolean {
  const cause = error instanceof ConnectError ? error.cause : undefined;
  return cause instanceof Error && cause.message.includes("NGHTTP2_REFUSED_STREAM");
}

function codeOf(cause: unknown): unknown {
  return cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined;
}
