import { verdict, type Mark } from "./marks.js";
import { runtimeNames } from "./runtimes.js";
import { pollSeconds, type OfEach, type StatsFigures, type StatsRpc } from "./stats.js";
import { ratioText, table } from "./tables.js";

/** How much of cri-dockerd's time a call may take. */
const most: Partial<Record<StatsRpc, number>> = { ListContainerStats: 0.15, ContainerStats: 0.3 };
const mostPolledImageFsInfo = 1;
const mostDockerCpu = 0.02;
const mostCpuAtRest = 0.01;

/** The figures as markdown: times and ratios to cri-dockerd. */
export function statsMarkdown(figures: readonly StatsFigures[]): string {
  return figures
    .map((figure) => {
      const rows = rowsOf(figure).map(({ what, values, text, mark }) => {
        const { "docker-cri": ours, "cri-dockerd": theirs } = values;
        return [
          what,
          ...runtimeNames.map((name) => (values[name] === undefined ? "" : text(values[name]))),
          ours === undefined || theirs === undefined ? "" : ratioText(ours, theirs),
          verdict(mark),
        ];
      });
      return `### ${figure.containers} containers\n\n${table(["", ...runtimeNames, "ratio", "target"], rows)}`;
    })
    .join("\n\n");
}

/** What must hold of the figures. */
export function statsMarks(figures: readonly StatsFigures[]): Mark[] {
  return figures.flatMap((figure) => rowsOf(figure).flatMap(({ mark }) => mark ?? []));
}

interface Row {
  readonly what: string;
  readonly values: Partial<OfEach<number>>;
  readonly text: (value: number) => string;
  readonly mark?: Mark;
}

function rowsOf(figures: StatsFigures): Row[] {
  const { containers, calls, polledImageFsInfo, dockerCpuSeconds, dockerCpuSecondsAtRest, cpuAtRest } =
    figures;
  const compared = (what: string, values: Row["values"], text: Row["text"], wanted?: number): Row => {
    const { "docker-cri": ours = NaN, "cri-dockerd": theirs = NaN } = values;
    const mark = { what: `${what}, ${containers} containers`, value: ours / theirs };
    return { what, values, text, ...(wanted !== undefined && { mark: { ...mark, most: wanted } }) };
  };
  const milliseconds = (value: number) => `${value.toFixed(2)} ms`;
  const seconds = (value: number) => `${value.toFixed(2)} s`;
  const added = {
    ...dockerCpuSeconds,
    "docker-cri": Math.max(0, dockerCpuSeconds["docker-cri"] - dockerCpuSecondsAtRest),
  };
  const rest = "docker-cri's CPU at rest, of a core";
  return [
    ...Object.entries(calls).map(([rpc, values]) =>
      compared(`${rpc}, p50`, values, milliseconds, most[rpc as StatsRpc]),
    ),
    compared("ImageFsInfo every 10 s, mean", polledImageFsInfo, milliseconds, mostPolledImageFsInfo),
    compared(`Docker's CPU in ${pollSeconds} s of a poll every 10 s`, dockerCpuSeconds, seconds),
    compared("what the polls add to it", added, seconds, mostDockerCpu),
    {
      what: rest,
      values: { "docker-cri": cpuAtRest },
      text: (value) => `${(value * 100).toFixed(2)} %`,
      mark: { what: `${rest}, ${containers} containers`, value: cpuAtRest, most: mostCpuAtRest },
    },
  ];
}
