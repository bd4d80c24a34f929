/** A value of a CPU time counter, with the time of a monotonic clock. */
export interface CpuSample {
  readonly atMs: number;
  readonly usageCoreNanos: bigint;
}

/** The shortest interval of a rate, if there is a sample that old. */
const shortestWindowMs = 5_000;
/** A younger container may have no sample yet, or only a very recent one. */
const youngMs = 15_000;
const samplesKept = 3;
const nanosPerMs = 1_000_000;

/**
 * CPU usage rates over the shim's own interval. Only the sampler adds samples, so that the rates do not depend on the
 * number and the times of the calls.
 */
export class CpuRates {
  private readonly samples = new Map<string, CpuSample[]>();

  /**
   * Adds a sample of a container or a pod.
   * @param key One for each counter: a restarted container has a new one.
   */
  add(key: string, sample: CpuSample): void {
    const known = this.samples.get(key) ?? [];
    const last = known.at(-1);
    // A counter that went back belongs to a restarted container.
    const kept = last && last.usageCoreNanos > sample.usageCoreNanos ? [] : known;
    this.samples.set(key, [...kept, sample].slice(-samplesKept));
  }

  /** Drops all other counters. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.samples.keys()) if (!keys.has(key)) this.samples.delete(key);
  }

  /**
   * The rate in billionths of a core: from the newest sample that is old enough until now, or over the whole life of a
   * younger counter.
   * @param startedAtMs The start of the counter, if known.
   */
  rate(key: string, now: CpuSample, startedAtMs: number | undefined): bigint | undefined {
    const earlier = (this.samples.get(key) ?? []).filter(
      ({ atMs, usageCoreNanos }) => atMs < now.atMs && usageCoreNanos <= now.usageCoreNanos,
    );
    const birth = startedAtMs === undefined ? undefined : { atMs: startedAtMs, usageCoreNanos: 0n };
    const base =
      earlier.findLast(({ atMs }) => now.atMs - atMs >= shortestWindowMs) ??
      birthOrFirst(birth, earlier, now);
    if (!base || base.atMs >= now.atMs) return undefined;
    const nanos = (now.atMs - base.atMs) * nanosPerMs;
    return BigInt(Math.round((Number(now.usageCoreNanos - base.usageCoreNanos) / nanos) * 1e9));
  }
}

/** The interval without an old sample: the whole life of a young container, or the time since the first sample. */
function birthOrFirst(
  birth: CpuSample | undefined,
  earlier: readonly CpuSample[],
  now: CpuSample,
): CpuSample | undefined {
  const first = earlier[0];
  if (!birth || !first) return first ?? birth;
  const isYoung = birth.atMs < first.atMs && now.atMs - birth.atMs < youngMs;
  return isYoung ? birth : first;
}
