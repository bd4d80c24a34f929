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
      for (let bytes: Buffer | undefined = Buffer.alloc(0); bytes;) {
        bytes = await answer.next();
        call.check();
        const { entries, error } = taken(demux, bytes);
        if (entries.length > 0) yield entries;
        if (error) throw error;
        if (gatherUntil && entries.length > 0) await pace.wait(pace.wanted(entries));
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

/** What came before an error counts. */
function taken(
  demux: LogDemux | TerminalDemux,
  bytes: Buffer | undefined,
): { readonly entries: readonly LogFrame[]; readonly error?: Error } {
  const entries: LogFrame[] = [];
  try {
    if (bytes) demux.push(bytes, entries);
    else demux.end(entries);
    return { entries };
  } catch (error) {
    return { entries, error: error as Error };
  }
}
