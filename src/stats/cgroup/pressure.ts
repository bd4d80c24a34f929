import type { Pressure, Stall } from "../usage.js";
import type { ReadFile } from "./cpu.js";
import { uint64 } from "./text.js";

const nanosPerMicro = 1_000n;
const line = /^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+) total=(\d{1,20})$/gm;

/**
 * The pressure values of a cgroup; undefined if the kernel has none.
 * @param folder The folder in the hierarchy of v2.
 * @see kernel, accounting/psi
 */
export function readPressure(
  read: ReadFile,
  folder: string | undefined,
  resource: "cpu" | "memory" | "io",
): Pressure | undefined {
  const text = folder === undefined ? undefined : read(`${folder}/${resource}.pressure`);
  return text === undefined ? undefined : parsePressure(text);
}

function parsePressure(text: string): Pressure | undefined {
  const stalls: Partial<Record<"some" | "full", Stall>> = {};
  for (const [, kind, avg10, avg60, avg300, total = "0"] of text.matchAll(line)) {
    const totalNanos = uint64(BigInt(total) * nanosPerMicro);
    if (totalNanos === undefined) continue;
    stalls[kind === "some" ? "some" : "full"] = {
      totalNanos,
      avg10: Number(avg10),
      avg60: Number(avg60),
      avg300: Number(avg300),
    };
  }
  const { some, full } = stalls;
  return some && { some, ...(full ? { full } : {}) };
}
