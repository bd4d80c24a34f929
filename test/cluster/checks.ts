import { it } from "node:test";
import type { Cluster } from "./cluster.js";
import type { Row } from "./table.js";

/** Registers a check of the cluster, whose title is its line in the table. */
export type Check = (title: string, work: (cluster: Cluster) => Promise<void>) => void;

/** The checks of a run in their order, and how each has ended. */
export class Checks {
  readonly #titles: string[] = [];
  readonly #results = new Map<string, string>();

  constructor(private readonly cluster: () => Cluster) {}

  readonly add: Check = (title, work) => {
    this.#titles.push(title);
    it(title, async () => {
      this.#results.set(title, "fails");
      await work(this.cluster());
      this.#results.set(title, "passes");
    });
  };

  /** The lines of the table; undefined when some checks were not run, as with a pattern for their names. */
  rows(): readonly Row[] | undefined {
    const rows = this.#titles.map((title): Row => [title, this.#results.get(title) ?? ""]);
    return rows.some(([, result]) => result === "") ? undefined : rows;
  }
}
