import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format, resolveConfig } from "prettier";

const document = join(import.meta.dirname, "..", "..", "docs", "conformance.md");

/**
 * Puts a run's results into docs/conformance.md, between `<!-- NAME -->` and `<!-- /NAME -->`, when
 * DOCKER_CRI_WRITE_TABLES is set. The first row is the table's head.
 * @throws Error when the document has no such markers.
 */
export async function writeDocTable(name: string, rows: readonly (readonly string[])[]): Promise<void> {
  if (!process.env["DOCKER_CRI_WRITE_TABLES"]) return;
  const text = readFileSync(document, "utf8");
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`${document} has no ${begin} … ${end}`);
  const [head = [], ...body] = rows.map((row) => row.map(cell));
  const table = [head, head.map(() => "---"), ...body].map((row) => `| ${row.join(" | ")} |`).join("\n");
  const changed = `${text.slice(0, from)}${begin}\n\n${table}\n\n${text.slice(to)}`;
  const style = await resolveConfig(document);
  writeFileSync(document, await format(changed, { ...style, filepath: document }));
}

/** A text may come from a spec's name: nothing in it ends the cell or the line. */
function cell(text: string): string {
  return text.replaceAll(/\s+/g, " ").replaceAll("|", "\\|").replaceAll("<", "&lt;").trim();
}
