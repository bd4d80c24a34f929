import type { DescMethod, Message } from "@bufbuild/protobuf";
import pino from "pino";
import type { CallContext } from "../../../src/handlers/index.js";
import type { RpcTarget } from "../../../src/rpc/serving.js";

/** What a test answers a method with: a message, a promise of one, or a generator for a stream. */
export type TestHandler = (request: never, context: CallContext) => unknown;

export type LogLine = Record<string, unknown> & { readonly msg: string; readonly level: number };

export interface TestTarget extends RpcTarget {
  /** Every line that was logged. */
  readonly lines: LogLine[];
  /** The lines of one RPC's calls. */
  calls(rpc: string): LogLine[];
  /** How often a handler was asked for. */
  readonly made: Map<string, number>;
}

/** A target whose handlers are functions by the RPC's name. */
export function testTarget(handlers: Record<string, TestHandler>): TestTarget {
  const lines: LogLine[] = [];
  const made = new Map<string, number>();
  const log = pino({ level: "trace" }, { write: (line: string) => lines.push(JSON.parse(line) as LogLine) });
  return {
    lines,
    log,
    made,
    calls: (rpc) => lines.filter((line) => line["rpc"] === rpc && line["code"] !== undefined),
    handlerFor: (method: DescMethod) => {
      made.set(method.name, (made.get(method.name) ?? 0) + 1);
      const handle = handlers[method.name];
      if (!handle) throw new Error(`the test has no handler of ${method.name}`);
      return {
        handle: (request: Message, context: CallContext) => handle(request as never, context),
      } as never;
    },
  };
}
