import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { format } from "prettier";

const path = fileURLToPath(new URL("../../docs/conformance.md", import.meta.url));
const begin = "<!-- the cluster's table: written by npm run test:cluster -->\n";
const end = "<!-- end of the cluster's table -->\n";

/** What was checked, and `passes`, `fails`, or `not run` with the reason. */
export type Row = readonly [string, string];

/** Writes the results of a whole run into docs/conformance.md. @throws Error when the markers are not there. */
export async function writeTable(rows: readonly Row[]): Promise<void> {
  const text = await readFile(path, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${path} has no place for the cluster's table`);
  const lines = [["What is checked", "Result"], ["-", "-"], ...rows].map((row) => `| ${row.join(" | ")} |`);
  const table = await format(lines.join("\n"), { parser: "markdown" });
  await writeFile(path, `${text.slice(0, from)}${begin}\n${table}\n${text.slice(to)}`);
}
