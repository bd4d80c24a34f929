import { ShimError } from "../../base/index.js";

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * Reads `grpc-timeout`, such as `2S`, in milliseconds.
 * @throws ShimError "invalid-argument" when it is not up to eight digits and a unit.
 * @see gRPC over HTTP2, Requests, Timeout
 */
export function parseTimeoutMs(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const match = typeof value === "string" ? /^(\d{1,8})([HMSmun])$/.exec(value) : null;
  const unit = unitMs[match?.[2] ?? ""];
  if (unit === undefined) {
    throw new ShimError(
      "invalid-argument",
      "the header grpc-timeout must be up to eight digits, followed by one of H, M, S, m, u and n",
    );
  }
  return Number(match?.[1]) * unit;
}

/**
 * Writes a text for the header `grpc-message`: UTF-8 with everything but printable ASCII, and `%`, escaped.
 * @see gRPC over HTTP2, Responses, Status-Message
 */
export function encodeStatusMessage(message: string): string {
  if (/^[ -$&-~]*$/.test(message)) return message;
  let encoded = "";
  for (const byte of Buffer.from(message, "utf8")) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/** True for the content types of gRPC with protobuf; false for other gRPC codecs and gRPC-Web. */
export function isGrpcContentType(value: unknown): value is string {
  return typeof value === "string" && /^application\/grpc(\+proto)?[ \t]*(;.*)?$/i.test(value);
}
