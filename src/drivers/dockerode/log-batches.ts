import type { LogBatchOptions, LogFrame } from "../../docker/index.js";
import { onAbort } from "../../base/index.js";
import type { Engine } from "./engine.js";
import { LogDemux } from "./log-demux.js";
import { TerminalDemux } from "./log-entries.js";
import { LogPace } from "./log-pace.js";
import type { LogTurns } from "./log-turns.js";
import { openLog } from "./logs.js";

/** The log of a container as Docker tells it, in the pieces that came at once; read no faster than they are taken. */
export async function* readLogBatches(
  engine: Engine,
  turns: LogTurns,
  id: string,
  options: LogBatchOptions,
): AsyncGenerator<readonly LogFrame[]> {
  const { gatherUntil } = options;
  const call = engine.open("containers.logs", options);
  try {
    const { request, isTerminal } = await openLog(engine, call, id, options);
    const answer = await engine.pull(call, request);
    const pace = new LogPace(turns);
    const unlisten = [gatherUntil, call.signal].map((signal) =>
      onAbort(signal, () => {
        pace.end();
      }),
    );
    try {
      const demux = isTerminal ? new TerminalDemux() : new LogDemux();
      const entries: LogFrame[] = [];
      for (let isEnd = false; !isEnd;) {
        const part = take(demux, await answer.next(), entries);
        isEnd = part.isEnd;
        call.check();
        if (entries.length > 0) yield entries;
        if (part.error) throw part.error;
        const waitMs = entries.length > 0 && gatherUntil ? pace.wanted(entries) : undefined;
        // What lay here while the log waits would outlive two collections of new objects, and cost a great one.
        entries.length = 0;
        if (waitMs !== undefined) await pace.wait(waitMs);
      }
    } catch (error) {
      throw engine.failure(call, request, error);
    } finally {
      for (const stop of unlisten) stop();
      answer.close();
    }
  } finally {
    call.end();
  }
}

/** Adds the entries that have come, also those before an error. */
function take(
  demux: LogDemux | TerminalDemux,
  bytes: Buffer | undefined,
  entries: LogFrame[],
): { readonly isEnd: boolean; readonly error?: Error } {
  const isEnd = bytes === undefined;
  try {
    if (bytes) demux.push(bytes, entries);
    else demux.end(entries);
    return { isEnd };
  } catch (error) {
    return { isEnd, error: error as Error };
  }
}
