/** What a contract says, one entry a fact: "field Mount.readonly" → "3 bool". */
export type Statements = ReadonlyMap<string, string>;

/** Every way in which two contracts disagree; all three lists are empty when they are the same. */
export interface Differences {
  readonly missing: readonly string[];
  readonly extra: readonly string[];
  readonly changed: readonly string[];
}

/** Compares in both directions: what only `published` says is missing, what only `built` says is extra. */
export function differences(published: Statements, built: Statements): Differences {
  const missing: string[] = [];
  const changed: string[] = [];
  for (const [subject, expected] of published) {
    const actual = built.get(subject);
    if (actual === undefined) missing.push(subject);
    else if (actual !== expected) changed.push(`${subject}: published "${expected}", built "${actual}"`);
  }
  const extra = [...built.keys()].filter((subject) => !published.has(subject));
  return { missing, extra, changed };
}

/** How many subjects are of one kind, the first word of the key: "message", "field", "rpc" … */
export function count(statements: Statements, kind: string): number {
  return [...statements.keys()].filter((subject) => subject.startsWith(`${kind} `)).length;
}
