import { after, it } from "node:test";
import { writeDocTable } from "./doc-tables.js";

/** A test's work; a text that it answers is the reason why it cannot be done here. */
type Work = () => Promise<unknown>;

/** Tests whose results make a table of docs/conformance.md: a row each, and a column for each runtime under test. */
export class Results {
  readonly #rows = new Map<string, Map<string, string>>();
  readonly #columns: string[] = [];

  /** @param table Its name in the document. The table is written when the file's tests have ended. */
  constructor(table: string) {
    after(async () => {
      const rows = [...this.#rows].map(([title, results]) => [
        title,
        ...this.#columns.map((column) => results.get(column) ?? "did not run"),
      ]);
      await writeDocTable(table, [["What is checked", ...this.#columns], ...rows]);
    });
  }

  /** A last row for what has no test, with the reason. */
  notRun(title: string, reason: string): void {
    this.#rows.set(title, new Map(this.#columns.map((column) => [column, `not run: ${reason}`])));
  }

  /** Defines the tests of one column. Takes the place of `it`. */
  column(name: string): (title: string, work: Work) => void {
    this.#columns.push(name);
    return (title, work) => {
      const results = this.#rows.get(title) ?? new Map<string, string>();
      this.#rows.set(title, results);
      it(title, async (t) => {
        results.set(name, "fails");
        const reason = await work();
        if (typeof reason === "string") t.skip(reason);
        results.set(name, typeof reason === "string" ? `skipped: ${reason}` : "passes");
      });
    };
  }
}
