import { verdict, type Mark } from "./marks.js";
import { pollSeconds, sharedRpcs, type Pair, type SharedRpc, type StatsFigures } from "./stats.js";
import { ratioText, table } from "./tables.js";

/** How much of cri-dockerd's time a call may take. */
const most: Partial<Record<SharedRpc, number>> = { ListContainerStats: 0.15, ContainerStats: 0.3 };
const mostPolledImageFsInfo = 1;
const mostDockerCpu = 0.02;
const mostCpuAtRest = 0.01;

/** The figures as markdown: times and ratios to cri-dockerd. */
export function statsMarkdown(figures: readonly StatsFigures[]): string {
  return figures
    .map((figure) => {
      const rows = rowsOf(figure).map(({ what, values, ratio, mark }) => [
        what,
        values,
        ratio,
        verdict(mark),
      ]);
      return `### ${figure.containers} containers: docker-cri / cri-dockerd\n\n${table(["", "", "ratio", "wanted"], rows)}`;
    })
    .join("\n\n");
}

/** What must hold of the figures. */
export function statsMarks(figures: readonly StatsFigures[]): Mark[] {
  return figures.flatMap((figure) => rowsOf(figure).flatMap(({ mark }) => mark ?? []));
}

interface Row {
  readonly what: string;
  readonly values: string;
  readonly ratio: string;
  readonly mark: Mark | undefined;
}

function rowsOf(figures: StatsFigures): Row[] {
  const { containers, calls, own, polledImageFsInfo, dockerCpuSeconds, dockerCpuSecondsAtRest, cpuAtRest } =
    figures;
  const compared = (what: string, { ours, theirs }: Pair, unit: string, wanted?: number): Row => ({
    what,
    values: `${ours.toFixed(2)} / ${theirs.toFixed(2)} ${unit}`,
    ratio: ratioText(ours, theirs),
    mark:
      wanted === undefined
        ? undefined
        : { what: `${what}, ${containers} containers`, value: ours / theirs, most: wanted },
  });
  const added = Math.max(0, dockerCpuSeconds.ours - dockerCpuSecondsAtRest);
  const rest = "docker-cri's CPU at rest";
  return [
    ...sharedRpcs.map((rpc) => compared(`${rpc}, p50`, calls[rpc], "ms", most[rpc])),
    ...Object.entries(own).map(([rpc, ms]) => ({
      what: `${rpc}, p50`,
      values: `${ms.toFixed(2)} / - ms`,
      ratio: "",
      mark: undefined,
    })),
    compared("ImageFsInfo every 10 s, mean", polledImageFsInfo, "ms", mostPolledImageFsInfo),
    compared(`Docker's CPU in ${pollSeconds} s of a poll every 10 s`, dockerCpuSeconds, "s"),
    compared("what the polls add to it", { ...dockerCpuSeconds, ours: added }, "s", mostDockerCpu),
    {
      what: rest,
      values: `${(cpuAtRest * 100).toFixed(2)} % of a core`,
      ratio: "",
      mark: { what: `${rest}, ${containers} containers`, value: cpuAtRest, most: mostCpuAtRest },
    },
  ];
}
