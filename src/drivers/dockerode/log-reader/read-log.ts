import { onAbort } from "../../../base/index.js";
import type { LogFrame, LogOptions } from "../../../docker/index.js";
import { chunksOf } from "../body.js";
import type { EngineCall } from "../call.js";
import { decodeContainer } from "../decode/container.js";
import { encodeTime, pathOf } from "../encode/request.js";
import type { EngineConnection } from "../engine.js";
import { FrameParser } from "./frame-parser.js";
import { ReadPace, type ReadScheduler } from "./pacing.js";
import { TerminalParser } from "./terminal-parser.js";

/**
 * Reads a container's log in batches, no faster than they are consumed.
 * @see README.md in this folder
 */
export async function* readLog(
  engine: EngineConnection,
  scheduler: ReadScheduler,
  id: string,
  options: LogOptions,
): AsyncGenerator<readonly LogFrame[]> {
  const call = engine.open("containers.logs", options);
  const pace = options.gatherUntil && new ReadPace(scheduler);
  const unlisten = [options.gatherUntil, call.signal].map((signal) => onAbort(signal, () => pace?.end()));
  try {
    const isTerminal = options.isTerminal ?? (await askForTerminal(engine, call, id));
    const request = {
      method: "GET",
      path: `${containerPath(call, id)}/logs`,
      query: logQuery(options),
    } as const;
    const parser = isTerminal ? new TerminalParser() : new FrameParser();
    const answer = await engine.pull(call, request);
    const idleMs = options.follow === true ? undefined : engine.requestTimeoutMs;
    const entries: LogFrame[] = [];
    try {
      for await (const bytes of chunksOf(call, answer, idleMs)) {
        const failure = failureOf(() => {
          parser.push(bytes, entries);
        });
        if (entries.length > 0) yield entries;
        if (failure) throw failure;
        const waitMs = entries.length > 0 ? pace?.next(entries) : undefined;
        // Clear the batch before sleeping, or its entries reach V8's old generation.
        entries.length = 0;
        if (waitMs !== undefined) await pace?.wait(waitMs);
      }
      parser.end(entries);
      if (entries.length > 0) yield entries;
    } catch (error) {
      throw engine.failure(call, request, error);
    }
  } finally {
    for (const stop of unlisten) stop();
    call.end();
  }
}

/** Docker frames the log of a container without a terminal, and before API 1.42 the answer does not say which it is. */
async function askForTerminal(engine: EngineConnection, call: EngineCall, id: string): Promise<boolean> {
  const request = { method: "GET", path: `${containerPath(call, id)}/json` } as const;
  return (await engine.json(call, request, decodeContainer)).config.tty === true;
}

function containerPath(call: EngineCall, id: string): string {
  return `/containers${pathOf(call.operation, id)}`;
}

function logQuery(options: LogOptions): Record<string, string> {
  const { follow, stdout = true, stderr = true, sinceNanos, tailLines } = options;
  return {
    timestamps: "1",
    stdout: stdout ? "1" : "0",
    stderr: stderr ? "1" : "0",
    follow: follow === true ? "1" : "0",
    ...(sinceNanos === undefined ? {} : { since: encodeTime(sinceNanos) }),
    ...(tailLines === undefined ? {} : { tail: String(tailLines) }),
  };
}

/** The entries before a damaged one are delivered, so the error comes after them. */
function failureOf(work: () => void): Error | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
