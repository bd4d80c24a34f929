import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { cribench, withLab } from "../test/docker/lab/index.js";
import { evaluate, parseSamples, type Scrape } from "./promql.js";
import { startOurs } from "./shims.js";
import { escapeSvg, svgFile } from "./svg.js";

/**
 * Draws docs/images/dashboard.svg: the panels of docs/grafana-dashboard.json over the figures of a run of docker-cri on a
 * real Docker, scraped each second. It is not a picture of Grafana's: this script draws it.
 */
const root = join(import.meta.dirname, "..");
const metricsUrl = "http://127.0.0.1:19323/metrics";
const runSeconds = 60;
const size = { width: 400, height: 200, columns: 3 };
const colors = ["#2f6fde", "#d9480f", "#2b8a3e", "#9c36b5", "#e67700", "#0b7285", "#c2255c", "#5c940d"];
const mostSeries = 8;

interface Panel {
  readonly title: string;
  readonly fieldConfig: { readonly defaults: { readonly unit: string } };
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Line {
  readonly name: string;
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

async function main(): Promise<void> {
  const text = await readFile(join(root, "docs", "grafana-dashboard.json"), "utf8");
  const { panels } = JSON.parse(text) as { panels: readonly Panel[] };
  const scrapes = await measure();
  await writeFile(join(root, "docs", "images", "dashboard.svg"), draw(panels, scrapes));
}

/** Pods come and go, and lists and stats are asked for as a kubelet does, while the metrics are scraped. */
async function measure(): Promise<Scrape[]> {
  return await withLab(async (lab) => {
    const dockerd = await lab.dockerd({ name: "dashboard", liftNegativeOomScore: true });
    const program = join(root, "dist", "cli", "main.js");
    const { endpoint } = await startOurs(lab, dockerd, program, [
      `--metrics-address=${new URL(metricsUrl).host}`,
    ]);
    const every = (rpc: string, everyMs: number) => ({ rpc, everyMs, seconds: runSeconds });
    const load = cribench(endpoint, [
      { rpc: "MakePods", calls: 5, hostNetwork: true },
      {
        together: [
          every("ListPodSandbox", 1_000),
          every("ListContainers", 1_000),
          every("ListContainerStats", 10_000),
          every("ImageFsInfo", 10_000),
          every("Status", 5_000),
          { rpc: "PodCycle", hostNetwork: true, seconds: runSeconds },
          { rpc: "ContainerCycle", hostNetwork: true, seconds: runSeconds },
        ],
      },
    ]);
    const over = new AbortController();
    void load
      .catch(() => undefined)
      .finally(() => {
        over.abort();
      });
    const scrapes: Scrape[] = [];
    const beganMs = performance.now();
    while (!over.signal.aborted) {
      const samples = parseSamples(await (await fetch(metricsUrl)).text());
      scrapes.push({ seconds: (performance.now() - beganMs) / 1_000, samples });
      await pause(1_000);
    }
    await load;
    return scrapes;
  });
}

function draw(panels: readonly Panel[], scrapes: readonly Scrape[]): string {
  const rows = Math.ceil(panels.length / size.columns);
  const [width, height] = [size.columns * size.width, rows * size.height];
  const parts = panels.map((panel, index) => {
    const [x, y] = [(index % size.columns) * size.width, Math.floor(index / size.columns) * size.height];
    return `<g transform="translate(${x},${y})">${drawPanel(panel, scrapes)}</g>`;
  });
  return svgFile({ width, height, font: "sans-serif", fontSize: 10, background: "#fff" }, parts);
}

function drawPanel({ title, targets, fieldConfig }: Panel, scrapes: readonly Scrape[]): string {
  const lines = targets.flatMap(({ expr, legendFormat }) => linesOf(expr, legendFormat, scrapes));
  const shown = lines.sort((a, b) => highest(b) - highest(a)).slice(0, mostSeries);
  const [left, top, right, bottom] = [12, 24, size.width - 130, size.height - 14];
  const most = Math.max(...shown.map(highest), 1e-9);
  const longest = scrapes.at(-1)?.seconds ?? 1;
  const drawn = shown.map(({ name, points }, index) => {
    const color = colors[index] ?? "#000";
    const place = points.map(([seconds, value]) => {
      const x = left + ((right - left) * seconds) / longest;
      return `${x.toFixed(1)},${(bottom - ((bottom - top) * value) / most).toFixed(1)}`;
    });
    const legend = `<text x="${right + 8}" y="${top + 10 + index * 14}" fill="${color}">${escapeSvg(name)}</text>`;
    return `<polyline points="${place.join(" ")}" fill="none" stroke="${color}"/>${legend}`;
  });
  const frame = `<path d="M${left},${top}V${bottom}H${right}" fill="none" stroke="#adb5bd"/>`;
  const scale = `<text x="${left + 4}" y="${top + 4}" fill="#868e96">${most.toPrecision(3)} ${fieldConfig.defaults.unit}</text>`;
  const head = `<text x="${left}" y="14" font-weight="bold">${escapeSvg(title)}</text>`;
  return [head, frame, scale, ...drawn].join("");
}

function linesOf(expr: string, legendFormat: string, scrapes: readonly Scrape[]): Line[] {
  const lines = new Map<string, (readonly [number, number])[]>();
  scrapes.forEach((scrape, index) => {
    for (const { labels, value } of evaluate(expr, scrapes, index)) {
      const name = legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? "");
      const points = lines.get(name) ?? [];
      lines.set(name, [...points, [scrape.seconds, value]]);
    }
  });
  return [...lines].map(([name, points]) => ({ name, points }));
}

function highest({ points }: Line): number {
  return Math.max(...points.map(([, value]) => value));
}

await main();
