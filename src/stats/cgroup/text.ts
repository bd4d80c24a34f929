const wholeNumber = /^\d{1,20}$/;
/** The kernel and CRI use 64 bits. */
export const largestUint64 = (1n << 64n) - 1n;

/** Undefined for a value that CRI's messages cannot hold. */
export function uint64(value: bigint | undefined): bigint | undefined {
  return value !== undefined && value >= 0n && value <= largestUint64 ? value : undefined;
}

/** The number in a file; undefined for a missing file and for any other text, such as `max`. */
export function numberOf(text: string | undefined): bigint | undefined {
  return wholeOf(text?.trim());
}

/** The number after a key in a file of `key value` lines, such as `cpu.stat`. */
export function valueOf(text: string, key: string): bigint | undefined {
  const head = `${key} `;
  const at = text.startsWith(head) ? 0 : text.indexOf(`\n${head}`) + 1;
  if (at === 0 && !text.startsWith(head)) return undefined;
  const end = text.indexOf("\n", at);
  return wholeOf(text.slice(at + head.length, end === -1 ? undefined : end).trim());
}

/** `max`, or in cgroup v1 the largest number of whole pages: no limit. */
const unlimitedFrom = 1n << 62n;

/** The limit in a file; undefined when there is none. */
export function limitOf(text: string | undefined): bigint | undefined {
  const limit = numberOf(text);
  return limit === undefined || limit >= unlimitedFrom ? undefined : limit;
}

/** The unused part of a limit; undefined without a limit. */
export function leftOf(limit: bigint | undefined, used: bigint): bigint | undefined {
  if (limit === undefined) return undefined;
  return limit > used ? limit - used : 0n;
}

function wholeOf(text: string | undefined): bigint | undefined {
  if (text === undefined || !wholeNumber.test(text)) return undefined;
  return uint64(BigInt(text));
}
