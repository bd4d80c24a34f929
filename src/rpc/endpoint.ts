import type { DescMethodServerStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import type { StreamHandler, UnaryHandler } from "../handlers/index.js";
import { RepeatedFailures } from "./repeated-failures.js";
import { isWrite, pathOf } from "./services.js";
import type { RpcTarget } from "./target.js";

/** One served method; its handler is created at the first call. */
export class Endpoint {
  readonly path: string;
  /** The method's name in the log. */
  readonly rpc: string;
  /** Whether a success is logged at level info. */
  readonly writes: boolean;
  readonly failures = new RepeatedFailures();
  private made: ReturnType<RpcTarget["handlerFor"]> | undefined;

  constructor(
    readonly method: DescMethodUnary | DescMethodServerStreaming,
    private readonly target: RpcTarget,
  ) {
    this.path = pathOf(method);
    this.rpc = method.name;
    this.writes = isWrite(method);
  }

  get streams(): boolean {
    return this.method.methodKind === "server_streaming";
  }

  unaryHandler(): UnaryHandler<DescMethodUnary> {
    return this.handler() as UnaryHandler<DescMethodUnary>;
  }

  streamHandler(): StreamHandler<DescMethodServerStreaming> {
    return this.handler() as StreamHandler<DescMethodServerStreaming>;
  }

  private handler(): ReturnType<RpcTarget["handlerFor"]> {
    this.made ??= this.target.handlerFor(this.method);
    return this.made;
  }
}
