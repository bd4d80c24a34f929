import { parseRfc3339Nanos } from "../../base/index.js";
import { parseEntry, type Entry } from "../entry.js";

/** Reads a line of a container's log in CRI's format or in that of Docker's json-file driver. */
export function parseLogLine(line: Buffer): Entry | undefined {
  return line[0] === 0x7b ? parseDockerLine(line) : parseEntry(line);
}

/** `{"log":"text\n","stream":"stdout","time":"…"}`; a text without a newline is a part of a line. */
function parseDockerLine(line: Buffer): Entry | undefined {
  let json: unknown;
  try {
    json = JSON.parse(line.toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const { log = "", stream, time } = json as Readonly<Record<string, unknown>>;
  if (typeof log !== "string" || typeof time !== "string") return undefined;
  const timestampNanos = parseRfc3339Nanos(time);
  if (timestampNanos === undefined || (stream !== "stdout" && stream !== "stderr")) return undefined;
  const partial = !log.endsWith("\n");
  return { timestampNanos, stream, partial, text: Buffer.from(partial ? log : log.slice(0, -1)) };
}
