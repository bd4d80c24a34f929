/** A value with its labels. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of one moment by the names of their metrics. */
export interface Scrape {
  readonly seconds: number;
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
}

/** How far back a rate looks. */
const rateSeconds = 10;

/** Reads Prometheus' text format. */
export function parseSamples(text: string): Map<string, Sample[]> {
  const samples = new Map<string, Sample[]>();
  for (const [, name = "", labels = "", value] of text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)) {
    const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", text = ""]) => [key, text]);
    const sample = { labels: Object.fromEntries(pairs) as Sample["labels"], value: Number(value) };
    samples.set(name, [...(samples.get(name) ?? []), sample]);
  }
  return samples;
}

/**
 * Evaluates an expression at one scrape. It knows the forms that the dashboard has: a metric, with a filter, its rate, sums
 * by labels, and a quantile of a histogram. @throws Error for another one.
 */
export function evaluate(expr: string, scrapes: readonly Scrape[], index: number): Sample[] {
  const [, quantile, quantiled] = /^histogram_quantile\(([\d.]+), (.*)\)$/.exec(expr) ?? [];
  if (quantiled !== undefined) return quantiles(Number(quantile), evaluate(quantiled, scrapes, index));
  const [, , by = "", summed] = /^sum( by \(([\w, ]+)\) ?)?\((.*)\)$/.exec(expr) ?? [];
  if (summed !== undefined) return sumBy(by.split(", ").filter(Boolean), evaluate(summed, scrapes, index));
  const [, rated] = /^rate\((.*)\[\$__rate_interval\]\)$/.exec(expr) ?? [];
  if (rated !== undefined) return rates(rated, scrapes, index);
  const [, name = "", filter] = /^(\w+)(?:\{(.*)\})?$/.exec(expr) ?? [];
  if (name === "") throw new Error(`the picture cannot show ${expr}`);
  return (scrapes[index]?.samples.get(name) ?? []).filter(({ labels }) => passes(labels, filter));
}

function passes(labels: Sample["labels"], filter: string | undefined): boolean {
  if (filter === undefined) return true;
  const [, label = "", operator, text = ""] = /^(\w+)(!=|!~)"(.*)"$/.exec(filter) ?? [];
  const value = labels[label] ?? "";
  return operator === "!=" ? value !== text : !new RegExp(`^(?:${text})$`).test(value);
}

function rates(expr: string, scrapes: readonly Scrape[], index: number): Sample[] {
  const now = scrapes[index];
  const then = scrapes.findIndex(({ seconds }) => now !== undefined && seconds >= now.seconds - rateSeconds);
  const before = scrapes[then];
  if (!now || !before || now === before) return [];
  const key = ({ labels }: Sample) => JSON.stringify(labels);
  const earlier = new Map(evaluate(expr, scrapes, then).map((sample) => [key(sample), sample.value]));
  return evaluate(expr, scrapes, index).map((sample) => ({
    labels: sample.labels,
    value: (sample.value - (earlier.get(key(sample)) ?? 0)) / (now.seconds - before.seconds),
  }));
}

function sumBy(by: readonly string[], samples: readonly Sample[]): Sample[] {
  const sums = new Map<string, Sample>();
  for (const { labels, value } of samples) {
    const kept = Object.fromEntries(by.map((label) => [label, labels[label] ?? ""]));
    const key = JSON.stringify(kept);
    sums.set(key, { labels: kept, value: (sums.get(key)?.value ?? 0) + value });
  }
  return [...sums.values()];
}

function quantiles(quantile: number, buckets: readonly Sample[]): Sample[] {
  const groups = new Map<string, { labels: Sample["labels"]; bounds: [bound: number, count: number][] }>();
  for (const { labels, value } of buckets) {
    const { le, ...rest } = labels;
    const key = JSON.stringify(rest);
    const group = groups.get(key) ?? { labels: rest, bounds: [] };
    groups.set(key, group);
    group.bounds.push([le === "+Inf" ? Infinity : Number(le), value]);
  }
  return [...groups.values()].flatMap(({ labels, bounds }) => {
    const sorted = bounds.sort(([a], [b]) => a - b);
    const rank = quantile * (sorted.at(-1)?.[1] ?? 0);
    if (rank === 0) return [];
    const at = sorted.findIndex(([, count]) => count >= rank);
    const [lower, below] = sorted[at - 1] ?? [0, 0];
    const [upper, count] = sorted[at] ?? [lower, below];
    const value = upper === Infinity ? lower : lower + ((upper - lower) * (rank - below)) / (count - below);
    return [{ labels, value }];
  });
}
