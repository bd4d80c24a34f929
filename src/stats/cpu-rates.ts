/** A reading of a counter of CPU time. The clock only has to be steady. */
export interface CpuSample {
  readonly atMs: number;
  readonly usageCoreNanos: bigint;
}

/** A rate is taken over at least this long where there is a sample so old. */
const shortestWindowMs = 5_000;
/** A younger container may not have been sampled yet, or only just. */
const youngMs = 15_000;
const samplesKept = 3;
const nanosPerMs = 1_000_000;

/**
 * Rates of CPU use over an interval of the shim's own. Only the sampler adds samples, so that what is asked, how often
 * and by how many callers, changes no rate.
 */
export class CpuRates {
  private readonly samples = new Map<string, CpuSample[]>();

  /**
   * Adds a sample of a container or a pod.
   * @param key One for each counter: a container that is started again counts anew.
   */
  add(key: string, sample: CpuSample): void {
    const known = this.samples.get(key) ?? [];
    const last = known.at(-1);
    // A counter that went back is another one: the container was started again.
    const kept = last && last.usageCoreNanos > sample.usageCoreNanos ? [] : known;
    this.samples.set(key, [...kept, sample].slice(-samplesKept));
  }

  /** Forgets all but these. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.samples.keys()) if (!keys.has(key)) this.samples.delete(key);
  }

  /**
   * Billionths of a core, from the newest sample that is old enough until now, or over the whole life of what is younger.
   * @param startedAtMs When the counter began, if that is known.
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

/** Without an old sample: the whole life of a young container, or what has been seen of an old one. */
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
