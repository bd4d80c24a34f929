import type {
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Logger } from "../base/index.js";

/** The context of a call. */
export interface CallContext {
  /** Aborts when the caller's deadline has passed, the caller has gone, or the server closes. */
  readonly signal: AbortSignal;
  /** When the caller stops waiting, in milliseconds from now; undefined without a deadline. */
  readonly timeoutMs: () => number | undefined;
  /** Writes lines that carry the call's id and RPC. */
  readonly log: Logger;
}

/** Answers one unary RPC. It may throw anything; a ShimError becomes the gRPC code of its kind. */
export interface UnaryHandler<M extends DescMethodUnary> {
  handle(
    request: MessageShape<M["input"]>,
    context: CallContext,
  ): MessageInitShape<M["output"]> | Promise<MessageInitShape<M["output"]>>;
}

/** Answers one server-streaming RPC. The iteration must throw when `context.signal` aborts. */
export interface StreamHandler<M extends DescMethodServerStreaming> {
  handle(
    request: MessageShape<M["input"]>,
    context: CallContext,
  ): AsyncIterable<MessageInitShape<M["output"]>>;
}
