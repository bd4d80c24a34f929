import type { DescMethodServerStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import type { Logger } from "../base/index.js";
import type { CallContext, StreamHandler, UnaryHandler } from "../handlers/index.js";
import type { CallObserver } from "./call-observer.js";
import type { ServiceName } from "./services.js";

/** The part of a shim that a server needs. */
export interface RpcTarget {
  /**
   * The handler of a method. A server calls this at the method's first call and keeps the result. An error is returned
   * to the caller, and the next call tries again.
   */
  handlerFor(
    method: DescMethodUnary | DescMethodServerStreaming,
  ): UnaryHandler<DescMethodUnary> | StreamHandler<DescMethodServerStreaming>;
  /**
   * What a call has to wait for before its handler runs; undefined, which is the rule, when there is nothing. It
   * does not reject. An error that it throws is the call's answer.
   */
  beforeCall?(
    method: DescMethodUnary | DescMethodServerStreaming,
    context: CallContext,
  ): Promise<void> | undefined;
  /** The logger for the line of each call. */
  readonly log: Logger;
  /** Is shown each call; without it, none is watched. */
  readonly observer?: CallObserver | undefined;
}

/** The services of a server, and its limits. */
export interface RpcOptions {
  /** Both services by default. */
  readonly services?: readonly ServiceName[] | undefined;
  /** A larger request is answered RESOURCE_EXHAUSTED; 16 MiB by default, which is kubelet's own limit. */
  readonly readMaxBytes?: number | undefined;
  /** A larger answer becomes RESOURCE_EXHAUSTED; 16 MiB by default. */
  readonly writeMaxBytes?: number | undefined;
}

const defaultMaxBytes = 16 * 1024 * 1024;

/** How large a message may be in each direction, in bytes. */
export interface MessageLimits {
  readonly readMaxBytes: number;
  readonly writeMaxBytes: number;
}

export function messageLimits(options: RpcOptions): MessageLimits {
  return {
    readMaxBytes: options.readMaxBytes ?? defaultMaxBytes,
    writeMaxBytes: options.writeMaxBytes ?? defaultMaxBytes,
  };
}
