/** Nanoseconds since the Unix epoch, now. */
export function nowNanos(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)$/;

/**
 * Nanoseconds since the Unix epoch of an RFC 3339 time with up to nine decimals; undefined for a text of
 * another form and for Go's zero time (year 1), which Docker writes for "never".
 */
export function parseRfc3339Nanos(text: string | undefined): bigint | undefined {
  const match = text === undefined ? null : rfc3339.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, fraction = "", zone = "Z"] = match;
  if (year === "0001") return undefined;
  const millis = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone.toUpperCase()}`);
  if (Number.isNaN(millis)) return undefined;
  return BigInt(millis) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

/** RFC 3339 in UTC with nine decimals, as Docker and CRI log files write it. */
export function formatRfc3339Nanos(nanos: bigint): string {
  const seconds = nanos / 1_000_000_000n;
  const fraction = (nanos % 1_000_000_000n).toString().padStart(9, "0");
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${fraction}Z`;
}
