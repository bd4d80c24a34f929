import { fullLoad, shoutingLoad, type LogFigure, type LogMode } from "./logs.js";
import { verdict, type Mark } from "./marks.js";
import { median } from "./numbers.js";
import type { BenchOptions } from "./options.js";
import { megabytesText, table } from "./tables.js";

/** Docker's bare follow may have so many times our lines a second: ours are to be 0.8 of its. */
const mostOfOurSpeed = 1 / 0.8;
const mostListMs = 20;

/** A row of figures for each load and follower, with the medians of all rounds. */
export function logsMarkdown(figures: readonly LogFigure[], options: BenchOptions): string {
  const marks = logsMarks(figures, options);
  const rows = groups(figures).map((each) => [
    each.load,
    each.mode,
    (each.lines / each.seconds).toFixed(0),
    perMillion(each.cpuSeconds, each.lines),
    perMillion(each.dockerdCpuSeconds, each.lines),
    megabytesText(each.rssBytes),
    each.idleCores.toFixed(2),
    each.listMs?.p50.toFixed(1) ?? "",
    each.listMs?.p99.toFixed(1) ?? "",
    verdict(marks.find(({ what }) => what === listWhat(each))),
  ]);
  const head = [
    ...["containers", "logs", "lines/s", "CPU s per million", "dockerd's", "RSS", "idle cores"],
    ...["List p50 ms", "p99 ms", "target"],
  ];
  const speeds = marks
    .filter(({ what }) => what.startsWith("Docker's"))
    .map((mark) => `${mark.what}: ${mark.value.toFixed(2)}, ${verdict(mark)}`);
  return [table(head, rows), ...speeds].join("\n\n");
}

/** What must hold of the figures. */
export function logsMarks(figures: readonly LogFigure[], options: BenchOptions): Mark[] {
  const all = groups(figures);
  return [shoutingLoad, fullLoad(options)].flatMap((load) => {
    const of = (mode: LogMode) => all.find((each) => each.load === load && each.mode === mode);
    const [bare, ours, weighed] = [of("bare follow"), of("docker-cri"), of("docker-cri, CPUWeight=1000")];
    if (!ours || !weighed || !bare) return [];
    const speed = (each: LogFigure) => each.lines / each.seconds;
    return [
      {
        what: `Docker's bare follow in lines a second, to docker-cri's: ${load}`,
        value: speed(bare) / speed(ours),
        most: mostOfOurSpeed,
      },
      ...[ours, weighed].map((each) => ({
        what: listWhat(each),
        value: each.listMs?.p99 ?? Number.NaN,
        most: mostListMs,
      })),
    ];
  });
}

function listWhat({ load, mode }: LogFigure): string {
  return `p99 of ListContainers in ms: ${load}, ${mode}`;
}

/** One figure for each load and follower. */
function groups(figures: readonly LogFigure[]): LogFigure[] {
  const isSame = (a: LogFigure, b: LogFigure) => a.load === b.load && a.mode === b.mode;
  const firsts = figures.filter((each, index) => figures.findIndex((other) => isSame(each, other)) === index);
  return firsts.map((first) => {
    const rounds = figures.filter((each) => isSame(each, first));
    const of = (read: (figure: LogFigure) => number) => median(rounds.map(read));
    const { listMs } = first;
    return {
      ...first,
      lines: of(({ lines }) => lines),
      seconds: of(({ seconds }) => seconds),
      cpuSeconds: of(({ cpuSeconds }) => cpuSeconds),
      dockerdCpuSeconds: of(({ dockerdCpuSeconds }) => dockerdCpuSeconds),
      rssBytes: of(({ rssBytes }) => rssBytes),
      idleCores: of(({ idleCores }) => idleCores),
      listMs: listMs && {
        p50: of((figure) => figure.listMs?.p50 ?? Number.NaN),
        p99: of((figure) => figure.listMs?.p99 ?? Number.NaN),
      },
    };
  });
}

function perMillion(cpuSeconds: number, lines: number): string {
  return lines === 0 ? "" : ((cpuSeconds * 1e6) / lines).toFixed(1);
}
