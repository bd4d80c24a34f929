/** What is needed of an image to tell its share of the disk. */
export interface ImageOnDisk {
  readonly sizeBytes?: number;
  /** Chain ids, lowest first. */
  readonly chain: readonly string[];
}

/**
 * What images take on disk together, in bytes: a layer that several share counts once. Where the sizes of layers
 * are not known, the sizes of whole images tell how much is shared, as far as one is the base of another.
 */
export function bytesOnDisk(
  images: readonly ImageOnDisk[],
  sizeOf: (chainId: string) => number | undefined,
): number {
  const counted = new Set<string>();
  const whole = new Map<string, number>();
  let total = 0;
  for (const { sizeBytes = 0, chain } of [...images].sort((a, b) => a.chain.length - b.chain.length)) {
    const top = chain.at(-1);
    if (top === undefined) total += sizeBytes;
    if (top === undefined || counted.has(top)) continue;
    const fresh = chain.filter((chainId) => !counted.has(chainId));
    const sizes = fresh.map(sizeOf);
    const base = chain[chain.length - fresh.length - 1];
    const shared = base === undefined ? 0 : (whole.get(base) ?? 0);
    total += sizes.every((size) => size !== undefined)
      ? sizes.reduce((sum, size) => sum + size, 0)
      : Math.max(0, sizeBytes - shared);
    for (const chainId of fresh) counted.add(chainId);
    whole.set(top, sizeBytes);
  }
  return total;
}
