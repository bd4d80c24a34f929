import { once } from "node:events";
import type { Writable } from "node:stream";
import { formatRfc3339Nanos, nowNanos, parseRfc3339Nanos, ShimError } from "../base/index.js";
import { parseGoDuration } from "../config/index.js";
import { readContainerLog, type ReadContainerLogOptions } from "../logs/index.js";
import { exitCodes } from "./exit.js";
import type { Io } from "./io.js";

/** The options of `docker-cri logs`, unparsed. */
export interface LogsOptions {
  readonly follow?: boolean;
  readonly tail?: string;
  readonly since?: string;
  readonly limitBytes?: string;
  readonly stream?: string;
  readonly timestamps?: boolean;
}

const newline = Buffer.from("\n");

/**
 * Prints a container's log file, each line to the stream that the container wrote it to.
 * @param signal Ends the reading without an error.
 * @returns The exit code.
 * @throws ShimError "invalid-argument" for an option that cannot be read; else as readContainerLog.
 */
export async function logs(path: string, options: LogsOptions, io: Io, signal: AbortSignal): Promise<number> {
  for await (const line of readContainerLog(path, { ...readOptions(options), signal })) {
    const time = options.timestamps ? [Buffer.from(`${formatRfc3339Nanos(line.timestampNanos)} `)] : [];
    const text = Buffer.concat([...time, line.text, ...(line.partial ? [] : [newline])]);
    await write(line.stream === "stdout" ? io.stdout : io.stderr, text, signal);
  }
  return exitCodes.ok;
}

function readOptions({
  follow = false,
  tail,
  since,
  limitBytes,
  stream,
}: LogsOptions): ReadContainerLogOptions {
  return {
    follow,
    ...(tail === undefined ? {} : { tailLines: countOf(tail, "--tail", "lines") }),
    ...(limitBytes === undefined ? {} : { limitBytes: countOf(limitBytes, "--limit-bytes", "bytes") }),
    ...(since === undefined ? {} : { sinceTime: timeOf(since) }),
    ...(stream === undefined ? {} : { stream: streamOf(stream) }),
  };
}

function countOf(text: string, option: string, unit: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new ShimError("invalid-argument", `${option}: "${text}" is not a number of ${unit}`);
}

function timeOf(text: string): bigint {
  const time = parseRfc3339Nanos(text);
  if (time !== undefined) return time;
  try {
    return nowNanos() - BigInt(parseGoDuration(text)) * 1_000_000n;
  } catch (cause) {
    throw new ShimError(
      "invalid-argument",
      `--since: "${text}" is neither a time such as 2026-01-31T12:00:00Z nor a duration such as 10m`,
      { cause },
    );
  }
}

function streamOf(text: string): "stdout" | "stderr" {
  if (text === "stdout" || text === "stderr") return text;
  throw new ShimError("invalid-argument", `--stream: "${text}" is neither stdout nor stderr`);
}

/** Writes, and waits for the reader. */
async function write(stream: Writable, chunk: Buffer, signal: AbortSignal): Promise<void> {
  if (stream.write(chunk)) return;
  await once(stream, "drain", { signal }).catch(() => undefined);
}
