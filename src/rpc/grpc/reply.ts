import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { Code, type ConnectError } from "@connectrpc/connect";
import { whenSent } from "../../base/index.js";
import { encodeStatusMessage } from "./headers.js";
import { acceptedEncodings } from "./unpack.js";

const statusOk = "0";

/** The answer to one gRPC call on its HTTP/2 stream. After the client has disconnected, its methods do nothing. */
export class Reply {
  private readonly headers: OutgoingHttpHeaders;

  constructor(
    private readonly stream: ServerHttp2Stream,
    requestContentType: string,
  ) {
    const contentType = /\+proto/i.test(requestContentType) ? "application/grpc+proto" : "application/grpc";
    this.headers = { ":status": 200, "content-type": contentType };
  }

  /** Sends the headers; messages may follow. */
  start(): void {
    if (this.gone) return;
    this.stream.respond(this.headers, { waitForTrailers: true });
  }

  /** Sends a frame. Resolves when the next one can be sent, or the client has disconnected. */
  write(frame: Uint8Array): Promise<void> | undefined {
    return this.gone || this.stream.write(frame) ? undefined : whenSent(this.stream);
  }

  /** Ends a started answer with the status OK. */
  end(): void {
    this.endWith({ "grpc-status": statusOk });
  }

  /** Answers a unary call: headers, one frame, the status OK. */
  unary(frame: Uint8Array): void {
    this.start();
    if (this.gone) return;
    this.trailers({ "grpc-status": statusOk });
    this.stream.end(frame);
  }

  /**
   * Ends the call with an error, whether or not messages were sent before.
   * @param lingerMs How long the client may still send, or not read, before its stream is reset.
   */
  fail(error: ConnectError, lingerMs: number): void {
    if (this.gone) return;
    const status: OutgoingHttpHeaders = {
      "grpc-status": String(error.code),
      "grpc-message": encodeStatusMessage(error.rawMessage),
      ...(error.code === Code.Unimplemented ? { "grpc-accept-encoding": acceptedEncodings } : undefined),
    };
    if (this.stream.headersSent) this.endWith(status);
    else this.stream.respond({ ...this.headers, ...status }, { endStream: true });
    this.closeAfter(lingerMs);
  }

  private get gone(): boolean {
    return this.stream.destroyed || this.stream.closed;
  }

  private endWith(trailers: OutgoingHttpHeaders): void {
    if (this.gone) return;
    this.trailers(trailers);
    this.stream.end();
  }

  private trailers(trailers: OutgoingHttpHeaders): void {
    this.stream.once("wantTrailers", () => {
      if (!this.gone) this.stream.sendTrailers(trailers);
    });
  }

  /**
   * Discards what the client still sends: unread data would use up the window that all calls of the connection
   * share. The stream of a client that never ends, or never reads its answer, is reset.
   */
  private closeAfter(lingerMs: number): void {
    const { stream } = this;
    stream.resume();
    // A timer is also needed because Node 20's http2 may delay a reset from within one of its callbacks until the stream
    // is closed, and then write empty frames in an infinite loop.
    const timer = setTimeout(() => {
      stream.close(stream.writableFinished ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL);
    }, lingerMs);
    stream.once("close", () => {
      clearTimeout(timer);
    });
  }
}
