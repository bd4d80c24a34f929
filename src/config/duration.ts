import { ShimError } from "../base/index.js";

const millisecondsPerUnit = new Map([
  ["ns", 1e-6],
  ["us", 1e-3],
  ["µs", 1e-3],
  ["μs", 1e-3],
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
]);

const form = /^\+?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$/u;

/**
 * Reads a duration as Go's time package writes it: `1m0s`, `1.5h`, `300ms`, `0`.
 * @returns Whole milliseconds; a duration that is shorter than one counts as one.
 * @throws ShimError "invalid-argument" for another form, a negative duration, or one of more than 24 days, which
 *   Node's timers cannot hold.
 */
export function parseGoDuration(text: string): number {
  if (text === "0") return 0;
  if (text.length > 64 || !form.test(text))
    throw new ShimError("invalid-argument", `"${text}" is not a duration such as 90s, 1m30s or 500ms`);
  let milliseconds = 0;
  for (const part of text.split(/(?<=[a-z])(?=[\d.])/)) {
    const unit = part.replace(/^[+\d.]+/, "");
    milliseconds += Number.parseFloat(part) * (millisecondsPerUnit.get(unit) ?? Number.NaN);
  }
  if (milliseconds > 2_147_483_647)
    throw new ShimError("invalid-argument", `"${text}" is too long: the maximum is 596h`);
  return milliseconds > 0 && milliseconds < 1 ? 1 : Math.round(milliseconds);
}
