const wholeNumber = /^\d{1,20}$/;
/** The kernel, and CRI, count with 64 bits. */
const largest = (1n << 64n) - 1n;

/** A file that holds one number; undefined for a missing file and for any other text, as `max`. */
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

/** `max`, and what cgroup v1 writes for no limit: the largest number of whole pages. */
const unlimitedFrom = 1n << 62n;

/** A file that holds a limit; undefined when there is none. */
export function limitOf(text: string | undefined): bigint | undefined {
  const limit = numberOf(text);
  return limit === undefined || limit >= unlimitedFrom ? undefined : limit;
}

/** How much of a limit is left; undefined without a limit. */
export function leftOf(limit: bigint | undefined, used: bigint): bigint | undefined {
  if (limit === undefined) return undefined;
  return limit > used ? limit - used : 0n;
}

function wholeOf(text: string | undefined): bigint | undefined {
  if (text === undefined || !wholeNumber.test(text)) return undefined;
  const value = BigInt(text);
  return value <= largest ? value : undefined;
}
