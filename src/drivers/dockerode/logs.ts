import { isKind, nowNanos } from "../../base/index.js";
import type { LogBatchOptions, LogFrame, LogOptions } from "../../docker/index.js";
import type { Call } from "./call.js";
import { decodeContainer } from "./decode/container.js";
import { encodeTime, pathOf } from "./encode/request.js";
import type { Engine, EngineRequest } from "./engine.js";
import { frameEntries, terminalEntries } from "./log-entries.js";

/** stdout and stderr are stamped apart: for so long, an older entry may come after a newer one. */
const disorderNanos = 100_000_000n;

/** How to ask for a log, and in which form it comes. */
export interface LogRequest {
  readonly request: EngineRequest;
  /** It comes as it is, without frames. */
  readonly isTerminal: boolean;
}

/** Finds out how to ask for a container's log. */
export async function openLog(
  engine: Engine,
  call: Call,
  id: string,
  options: LogBatchOptions,
): Promise<LogRequest> {
  const container = `/containers${pathOf(call.operation, id)}`;
  const request = { method: "GET", path: `${container}/logs`, query: logQuery(options) } as const;
  if (options.isTerminal !== undefined) return { request, isTerminal: options.isTerminal };
  // Docker frames the log of a container without a terminal, and up to API 1.41 does not say which it is.
  const { config } = await engine.json(call, { method: "GET", path: `${container}/json` }, decodeContainer);
  return { request, isTerminal: config.tty === true };
}

/** The log of a container, as the port promises it. */
export async function* readLogs(engine: Engine, id: string, options: LogOptions): AsyncGenerator<LogFrame> {
  const call = engine.open("containers.logs", options);
  try {
    const { request, isTerminal } = await openLog(engine, call, id, options);
    const read = (wanted: LogOptions) => {
      const idleMs = wanted.follow === true ? undefined : engine.requestTimeoutMs;
      const parse = isTerminal ? terminalEntries : frameEntries;
      return engine.stream(call, { ...request, query: logQuery(wanted) }, parse, idleMs);
    };
    if (options.follow === true) yield* followed(read, options);
    else yield* read(options);
  } finally {
    call.end();
  }
}

/**
 * Follows, and reads once more when Docker says that the end has come: Docker 20.10 now and then ends a
 * follow before the last entries.
 */
async function* followed(
  read: (options: LogOptions) => AsyncIterable<LogFrame>,
  options: LogOptions,
): AsyncGenerator<LogFrame> {
  const { tailLines, ...others } = options;
  const begunAt = nowNanos();
  const seen = new SeenEntries();
  for await (const entry of read(options)) {
    seen.add(entry);
    yield entry;
  }
  const sinceNanos = tailLines === undefined ? seen.fromNanos(options.sinceNanos) : seen.afterNanos(begunAt);
  const rest = { ...others, follow: false, ...(sinceNanos === undefined ? {} : { sinceNanos }) };
  try {
    for await (const entry of read(rest)) if (!seen.take(entry)) yield entry;
  } catch (error) {
    // Whoever removed the container in the meantime has taken the log along.
    if (!isKind(error, "not-found", "conflict")) throw error;
  }
}

/** The entries of the last moment, counted by stream and time. */
class SeenEntries {
  readonly #counts = { stdout: new Map<bigint, number>(), stderr: new Map<bigint, number>() };
  #newest: bigint | undefined;

  add({ stream, timestampNanos }: LogFrame): void {
    const counts = this.#counts[stream];
    counts.set(timestampNanos, (counts.get(timestampNanos) ?? 0) + 1);
    if (this.#newest === undefined || timestampNanos > this.#newest) this.#newest = timestampNanos;
    const oldest = this.#newest - disorderNanos;
    for (const time of counts.keys()) {
      if (time >= oldest) break;
      counts.delete(time);
    }
  }

  /** From where to read again so that nothing is missing: never before `begin`. */
  fromNanos(begin: bigint | undefined): bigint | undefined {
    if (this.#newest === undefined) return begin;
    const from = this.#newest - disorderNanos;
    return begin !== undefined && begin > from ? begin : from;
  }

  /** From where to read again so that nothing comes that was meant to be cut off. */
  afterNanos(begunAt: bigint): bigint {
    return this.#newest === undefined ? begunAt : this.#newest + 1n;
  }

  /** True, once for each time that the entry was added. */
  take({ stream, timestampNanos }: LogFrame): boolean {
    const counts = this.#counts[stream];
    const count = counts.get(timestampNanos) ?? 0;
    counts.set(timestampNanos, count - 1);
    return count > 0;
  }
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
