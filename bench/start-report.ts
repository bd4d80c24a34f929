import { verdict, type Mark } from "./marks.js";
import type { BenchOptions } from "./options.js";
import { podsAtRest, type StartFigures } from "./start.js";
import { megabytesText, ratioText, table } from "./tables.js";

const unit = "executable in its unit";

export function startMarkdown(figures: readonly StartFigures[], options: BenchOptions): string {
  const peer = figures.find(({ name }) => name === "cri-dockerd");
  const where = options.peer ? `Docker with ${podsAtRest} pods` : "memory engine";
  const marks = startMarks(figures);
  const rows = figures.map((each) => [
    each.name,
    `${each.firstVersionMs.toFixed(0)} ms`,
    each.demoMs === undefined ? "" : `${each.demoMs.toFixed(0)} ms`,
    megabytesText(each.rssBytes),
    megabytesText(each.anonymousBytes),
    peer ? ratioText(each.rssBytes, peer.rssBytes) : "",
    marks
      .filter(({ what }) => what.startsWith(`${each.name},`))
      .map(verdict)
      .join(", "),
  ]);
  const head = [`start, ${where}`, "first Version", "demo", "RSS at rest", "its own", "to cri-dockerd"];
  return table([...head, "first Version, demo, ratio"], rows);
}

export function startMarks(figures: readonly StartFigures[]): Mark[] {
  const ours = figures.find(({ name }) => name === unit);
  const peer = figures.find(({ name }) => name === "cri-dockerd");
  if (!ours) return [];
  const marks = [
    { what: `${unit}, ms to the first Version`, value: ours.firstVersionMs, most: 300 },
    { what: `${unit}, ms of the demo`, value: ours.demoMs ?? NaN, most: 1_500 },
  ];
  if (peer) {
    const value = ours.rssBytes / peer.rssBytes;
    marks.push({ what: `${unit}, RSS at rest to cri-dockerd's`, value, most: 1.5 });
  }
  return marks;
}
