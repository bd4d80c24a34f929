import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { holds, type Mark } from "./marks.js";
import type { Measured } from "./parts.js";
import { escapeSvg, svgFile } from "./svg.js";

/**
 * The pictures of the docs. `npm run pictures` draws docs/images/demo.svg from a run of the demo, and one
 * docs/images/bench-PART.svg for each part that the newest runs in .bench/ have measured.
 */
async function main(): Promise<void> {
  const root = join(import.meta.dirname, "..");
  const images = join(root, "docs", "images");
  await mkdir(images, { recursive: true });
  const program = join(root, "dist", "cli", "main.js");
  const output = execFileSync(process.execPath, [program, "demo"], { encoding: "utf8" });
  await writeFile(join(images, "demo.svg"), terminalSvg("docker-cri demo", output));
  for (const [part, { at, marks }] of await newestMarks(join(root, ".bench"))) {
    if (marks.length > 0) await writeFile(join(images, `bench-${part}.svg`), marksSvg(part, at, marks));
  }
}

interface Run {
  readonly at: string;
  readonly measured: Readonly<Record<string, Measured>>;
}

/** The marks of each part, from the last run that measured it. */
async function newestMarks(folder: string): Promise<Map<string, { at: string; marks: readonly Mark[] }>> {
  const newest = new Map<string, { at: string; marks: readonly Mark[] }>();
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((each) => each.endsWith(".json")).sort()) {
    const { at, measured } = JSON.parse(await readFile(join(folder, name), "utf8")) as Run;
    for (const [part, { marks }] of Object.entries(measured)) newest.set(part, { at, marks });
  }
  return newest;
}

const font = "ui-monospace, Menlo, Consolas, monospace";
const fontSize = 13;
const lineHeight = 18;
const charWidth = 7.8;

/** A command and its output as a terminal shows them. */
function terminalSvg(command: string, output: string): string {
  const lines = output.trimEnd().split("\n");
  const width = Math.ceil(Math.max(...lines.map((line) => line.length)) * charWidth) + 40;
  const height = (lines.length + 2) * lineHeight + 24;
  const text = [`$ ${command}`, "", ...lines].flatMap((line, index) => {
    if (line === "") return [];
    const place = `x="20" y="${28 + index * lineHeight}" fill="${index === 0 ? "#7ee787" : "#e6edf3"}"`;
    // The length keeps columns aligned in a font of another width.
    const length = (line.length * charWidth).toFixed(1);
    return `<text ${place} textLength="${length}" xml:space="preserve">${escapeSvg(line)}</text>`;
  });
  return svgFile({ width, height, font, fontSize, background: "#0d1117", radius: 8 }, text);
}

const labelWidth = 460;
const barWidth = 400;

/** A bar for each figure, with a line where its mark is. All are ratios or counts: shorter is better. */
function marksSvg(part: string, at: string, marks: readonly Mark[]): string {
  const width = labelWidth + barWidth + 160;
  const height = (marks.length + 2) * 22 + 20;
  const rows = marks.flatMap((mark, index) => {
    const y = 44 + index * 22;
    // A scale for each row: the marks differ by orders of magnitude.
    const scale = barWidth / (1.5 * mark.most);
    const length = Math.min(barWidth, mark.value * scale);
    const limit = labelWidth + mark.most * scale;
    const value = `${mark.value.toPrecision(3)} (≤ ${mark.most})`;
    return [
      `<text x="${labelWidth - 10}" y="${y + 12}" text-anchor="end">${escapeSvg(mark.what)}</text>`,
      `<rect x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="15" fill="${holds(mark) ? "#2da44e" : "#cf222e"}"/>`,
      `<line x1="${limit.toFixed(1)}" y1="${y - 3}" x2="${limit.toFixed(1)}" y2="${y + 18}" stroke="#24292f"/>`,
      `<text x="${labelWidth + barWidth + 10}" y="${y + 12}">${value}</text>`,
    ];
  });
  const title = `<text x="20" y="26" font-weight="bold">${escapeSvg(part)}, ${at.slice(0, 10)}: measured, and the mark (|)</text>`;
  return svgFile({ width, height, font, fontSize, background: "#ffffff" }, [title, ...rows]);
}

await main();
