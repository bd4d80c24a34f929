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

const barWidth = 360;
/** Where the mark is in a bar. */
const markAt = 240;
const rowHeight = 24;
const firstRow = 66;
const figures = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/**
 * A bar for each figure, with a line where its mark is. All are ratios or counts: shorter is better. The picture has a
 * background of its own, so it reads the same on light and dark pages.
 */
function marksSvg(part: string, at: string, marks: readonly Mark[]): string {
  const labelWidth = Math.ceil(Math.max(...marks.map(({ what }) => what.length)) * charWidth) + 36;
  const width = labelWidth + barWidth + 190;
  const height = firstRow + marks.length * rowHeight + 12;
  const rows = marks.flatMap((mark, index) => {
    const y = firstRow + index * rowHeight;
    // Each row has its own scale, because the marks differ by orders of magnitude.
    const share = mark.value === 0 ? 0 : mark.value / mark.most;
    const length = Math.min(barWidth, share * markAt);
    const color = holds(mark) ? "#2da44e" : "#cf222e";
    return [
      `<text x="${labelWidth - 12}" y="${y + 13}" text-anchor="end" fill="#1f2328">${escapeSvg(mark.what)}</text>`,
      `<rect x="${labelWidth}" y="${y + 1}" width="${barWidth}" height="16" fill="#eaeef2"/>`,
      `<rect x="${labelWidth}" y="${y + 1}" width="${length.toFixed(1)}" height="16" fill="${color}"/>`,
      `<line x1="${labelWidth + markAt}" y1="${y - 2}" x2="${labelWidth + markAt}" y2="${y + 20}" stroke="#1f2328" stroke-width="2"/>`,
      `<text x="${labelWidth + barWidth + 12}" y="${y + 13}" fill="${color}">${figures.format(mark.value)}</text>`,
      `<text x="${labelWidth + barWidth + 82}" y="${y + 13}" fill="#59636e">(≤ ${figures.format(mark.most)})</text>`,
    ];
  });
  const title = `<text x="20" y="28" font-size="15" font-weight="bold" fill="#1f2328">${escapeSvg(part)}</text>`;
  const key = `measured ${at.slice(0, 10)}; shorter is better, the line is the target`;
  const legend = `<text x="20" y="48" fill="#59636e">${escapeSvg(key)}</text>`;
  return svgFile({ width, height, font, fontSize, background: "#ffffff", radius: 8 }, [
    title,
    legend,
    ...rows,
  ]);
}

await main();
