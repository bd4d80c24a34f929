import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Message } from "@bufbuild/protobuf";
import type { Logger } from "../../base/index.js";
import type { Call } from "../call.js";
import type { Calls } from "../calls.js";
import { encodeFrame } from "../encode.js";
import type { Endpoint } from "../endpoint.js";
import { failureOf } from "../errors.js";
import { formerPathOf } from "../services.js";
import { isGrpcContentType, parseTimeoutMs } from "./headers.js";
import { Reply } from "./reply.js";
import { readRequest, tooLarge } from "./request.js";

const framePrefixBytes = 5;
const maxLoggedPath = 256;

/** How long a client may still send, or not read, after its call has failed. */
const lingerMs = 5_000;
const closingLingerMs = 100;

/**
 * Serves gRPC with protobuf directly on the streams of Node's http2 server: a short call takes about a quarter of the
 * time that it takes through Connect.
 * @see gRPC over HTTP2
 */
export class GrpcServer {
  private readonly endpoints: ReadonlyMap<string, Endpoint>;

  constructor(
    private readonly calls: Calls,
    private readonly log: Logger,
  ) {
    this.endpoints = new Map(
      calls.endpoints.flatMap((endpoint) => [
        [endpoint.path, endpoint],
        [formerPathOf(endpoint.method), endpoint],
      ]),
    );
  }

  /** True for the requests that {@link GrpcServer.accept} answers. */
  accepts(headers: IncomingHttpHeaders): boolean {
    return headers[":method"] === "POST" && isGrpcContentType(headers["content-type"]);
  }

  /** Answers one request. Never throws. */
  accept(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    // The client has reset its stream: "close" follows and ends the call.
    stream.on("error", () => undefined);
    const reply = new Reply(stream, headers["content-type"] ?? "");
    this.serve(stream, headers, reply).catch((error: unknown) => {
      this.log.warn({ err: error }, "could not send a gRPC response");
      setImmediate(() => stream.destroy());
    });
  }

  private async serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, reply: Reply): Promise<void> {
    const path = headers[":path"] ?? "";
    if (headers.origin !== undefined) {
      this.log.debug({ code: "PermissionDenied" }, "refused a request of a web page");
      reply.fail(new ConnectError("requests from web pages are refused", Code.PermissionDenied), lingerMs);
      return;
    }
    const endpoint = this.endpoints.get(path);
    if (!endpoint) {
      this.refuse(path, reply);
      return;
    }
    const call = this.calls.begin(endpoint, (name) => headers[name]?.toString());
    stream.once("close", () => {
      // "close" may be emitted inside nghttp2's own callback, where resetting another stream, as the end of a handler
      // may, can make Node 20's http2 write in an infinite loop.
      if (call.hasEnded) return;
      setImmediate(() => {
        call.leave();
      });
    });
    const receive = () => {
      const timeoutMs = parseTimeoutMs(headers["grpc-timeout"]);
      if (timeoutMs !== undefined) call.expireAfter(timeoutMs);
      const encoding = headers["grpc-encoding"];
      return readRequest(stream, endpoint.method.input, encoding, this.calls.limits.readMaxBytes, call);
    };
    try {
      if (endpoint.streams) await this.stream(call, receive, reply);
      else reply.unary(await this.calls.unary(call, receive, (answer) => this.frame(endpoint, answer)));
    } catch (error) {
      // Any error but Connect's and the abort's is one of the transport.
      const linger = this.calls.isClosing ? closingLingerMs : lingerMs;
      if (error instanceof ConnectError) reply.fail(error, linger);
      else if (call.abortReason) reply.fail(failureOf(call.abortReason, undefined).error, linger);
      else throw error;
    }
  }

  private async stream(call: Call, receive: () => Promise<Message>, reply: Reply): Promise<void> {
    const received = async () => {
      const request = await receive();
      reply.start();
      return request;
    };
    const frames = this.calls.stream(call, received, (message) => this.frame(call.endpoint, message));
    for await (const frame of frames) {
      const taken = reply.write(frame);
      if (taken) await call.settle(taken);
    }
    reply.end();
  }

  private frame(endpoint: Endpoint, answer: Message): Buffer {
    const frame = encodeFrame(endpoint.method.output, answer);
    const bytes = frame.length - framePrefixBytes;
    const { writeMaxBytes } = this.calls.limits;
    if (bytes > writeMaxBytes) throw tooLarge("answer", bytes, writeMaxBytes);
    return frame;
  }

  private refuse(path: string, reply: Reply): void {
    this.log.debug({ path: path.slice(0, maxLoggedPath), code: "Unimplemented" }, "unknown RPC");
    reply.fail(
      new ConnectError("unknown service or method; runtime.v1 is served here", Code.Unimplemented),
      lingerMs,
    );
  }
}
