import {
  connect,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { VersionRequestSchema } from "../../../src/gen/runtime/v1/api_pb.js";

/** HTTP/2 without a gRPC library: it sends what no library would. */
export interface RawSession extends AsyncDisposable {
  readonly session: ClientHttp2Session;
  open(headers: OutgoingHttpHeaders, options?: { endStream?: boolean }): ClientHttp2Stream;
  call(headers: OutgoingHttpHeaders, ...body: Buffer[]): Promise<RawAnswer>;
}

export interface RawAnswer {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly trailers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
  /** From the trailers, or the headers of an answer without messages. */
  readonly status: string | undefined;
  readonly message: string;
}

export const versionPath = "/runtime.v1.RuntimeService/Version";

export function rawSession(dial: () => Socket, authority = "http://localhost"): RawSession {
  const session = connect(authority, { createConnection: dial });
  session.on("error", () => undefined);
  const open = (headers: OutgoingHttpHeaders, options?: { endStream?: boolean }) => {
    const stream = session.request(
      {
        ":method": "POST",
        ":path": versionPath,
        "content-type": "application/grpc",
        te: "trailers",
        ...headers,
      },
      { endStream: false, ...options },
    );
    stream.on("error", () => undefined);
    return stream;
  };
  return {
    session,
    open,
    call: (headers, ...body) => {
      const stream = open(headers);
      for (const part of body) stream.write(part);
      stream.end();
      return answerOf(stream);
    },
    [Symbol.asyncDispose]: () => {
      session.destroy();
      return Promise.resolve();
    },
  };
}

/** Everything that the server sends on a stream. */
export function answerOf(stream: ClientHttp2Stream): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    let headers: Record<string, unknown> = {};
    let trailers: Record<string, unknown> = {};
    const chunks: Buffer[] = [];
    stream.on("response", (received) => (headers = received));
    stream.on("trailers", (received) => (trailers = received as Record<string, unknown>));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("close", () => {
      if (headers[":status"] === undefined) {
        reject(new Error(`no answer; reset with ${stream.rstCode}`));
        return;
      }
      const status = (trailers["grpc-status"] ?? headers["grpc-status"]) as string | undefined;
      const message = (trailers["grpc-message"] ?? headers["grpc-message"] ?? "") as string;
      resolve({
        headers,
        trailers,
        body: Buffer.concat(chunks),
        status,
        message: decodeURIComponent(message),
      });
    });
  });
}

/** A gRPC frame. */
export function frame(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

export function versionRequest(version = "v1"): Uint8Array {
  return toBinary(VersionRequestSchema, create(VersionRequestSchema, { version }));
}
