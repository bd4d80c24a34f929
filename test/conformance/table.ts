import { writeDocTable } from "../support/doc-tables.js";
import type { Spec } from "./run-critest.js";

/** What critest found of one runtime. */
export interface Column {
  readonly runtime: string;
  readonly specs: readonly Spec[];
}

/** Writes the tables of docs/conformance.md: each spec below its group, and the reasons of the skips by number. */
export async function writeCritestTables(columns: readonly Column[]): Promise<void> {
  const { rows, reasons } = critestTable(columns);
  await writeDocTable("critest", rows);
  await writeDocTable("critest-skips", reasons);
}

/** The rows of both tables, each with its head. */
export function critestTable(columns: readonly Column[]): {
  readonly rows: readonly (readonly string[])[];
  readonly reasons: readonly (readonly string[])[];
} {
  const found = columns.map(({ specs }) => new Map(specs.map((spec) => [keyOf(spec), spec])));
  // The order of critest's own report changes from run to run.
  const all = [...new Map(found.flatMap((each) => [...each]))].sort(([a], [b]) => (a < b ? -1 : 1));
  const messages = all.flatMap(([key]) => found.flatMap((each) => skipReason(each.get(key)) ?? []));
  const notes = [...new Set(messages)];
  const outcome = (spec: Spec | undefined): string => {
    const reason = skipReason(spec);
    if (reason !== undefined) return `skip ${notes.indexOf(reason) + 1}`;
    return spec === undefined ? "" : spec.state === "passed" ? "✓" : "✗";
  };
  const rows = all.flatMap(([key, { group, name }], index) => {
    const title = [`**${group}**`, ...columns.map(() => "")];
    const row = [name, ...found.map((each) => outcome(each.get(key)))];
    return group === all[index - 1]?.[1].group ? [row] : [title, row];
  });
  return {
    rows: [
      ["", ...columns.map(({ runtime }) => runtime)],
      ...rows,
      ["**Passed, failed, skipped**", ...columns.map(({ specs }) => totals(specs))],
    ],
    reasons: [["", "Why critest skips"], ...notes.map((note, index) => [`${index + 1}`, note])],
  };
}

function skipReason(spec: Spec | undefined): string | undefined {
  return spec?.state === "skipped" ? spec.message : undefined;
}

function keyOf({ group, name }: Spec): string {
  return `${group}\n${name}`;
}

function totals(specs: readonly Spec[]): string {
  const count = (state: string) => specs.filter((spec) => spec.state === state).length;
  const [passed, skipped] = [count("passed"), count("skipped")];
  return `${passed}, ${specs.length - passed - skipped}, ${skipped}`;
}
