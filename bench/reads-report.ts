import { verdict, type Mark } from "./marks.js";
import type { ReadFigure, ReadFigures } from "./reads.js";
import { megabytesText, ratioText, secondsText, table } from "./tables.js";

/** What must hold of one caller's median, as a part of cri-dockerd's. */
const limits: readonly { readonly pods: number; readonly rpcs: readonly string[]; readonly most: number }[] =
  [
    { pods: 60, rpcs: ["ListPodSandbox", "ListContainers"], most: 0.25 },
    { pods: 60, rpcs: ["PodSandboxStatus", "ContainerStatus", "ListImages", "ImageStatus"], most: 0.5 },
    { pods: 250, rpcs: ["ListPodSandbox", "ListContainers"], most: 0.15 },
  ];
const mostPollingCpu = 0.05;
const pollingHeldFrom = 60;

/** What both shims showed with so many pods on the node. */
interface Pair {
  readonly pods: number;
  readonly ours: ReadFigures;
  readonly theirs: ReadFigures;
}

/** The figures as markdown: tables for each number of pods, ratios to cri-dockerd. */
export function readsMarkdown(figures: readonly ReadFigures[]): string {
  return pairsOf(figures)
    .flatMap((pair) => [
      `### ${pair.pods} pods: docker-cri / cri-dockerd`,
      callsTable(pair),
      summaryTable(pair),
    ])
    .join("\n\n");
}

/** What must hold of the figures. */
export function readsMarks(figures: readonly ReadFigures[]): Mark[] {
  return pairsOf(figures).flatMap((pair) => [
    ...readsOf(pair).flatMap(({ ours, theirs }) => markOf(pair.pods, ours, theirs) ?? []),
    ...[pollingMark(pair)].filter((mark) => mark !== undefined),
  ]);
}

function callsTable(pair: Pair): string {
  const rows = readsOf(pair).map(({ ours, theirs }) => [
    ours.rpc,
    String(ours.callers),
    `${ours.p50Ms.toFixed(2)} / ${theirs.p50Ms.toFixed(2)}`,
    ratioText(ours.p50Ms, theirs.p50Ms),
    verdict(markOf(pair.pods, ours, theirs)),
    `${ours.p99Ms.toFixed(2)} / ${theirs.p99Ms.toFixed(2)}`,
    ratioText(ours.p99Ms, theirs.p99Ms),
  ]);
  return table(["RPC", "callers", "p50 ms", "ratio", "target", "p99 ms", "ratio"], rows);
}

function summaryTable(pair: Pair): string {
  const { ours, theirs } = pair;
  const row = (name: string, of: (figures: ReadFigures) => number, show: (value: number) => string) => [
    name,
    show(of(ours)),
    show(of(theirs)),
    ratioText(of(ours), of(theirs)),
  ];
  const rest = secondsText(ours.dockerCpuSecondsPerSecondOfRest);
  return table(
    ["", "docker-cri", "cri-dockerd", "ratio", "target"],
    [
      [
        ...row("Docker's CPU for 1,000 reads", (each) => each.dockerCpuSecondsPerThousandReads, secondsText),
        "",
      ],
      [
        ...row(`Docker's CPU a second, lists every 100 ms (beyond ${rest} at rest)`, pollingCpu, secondsText),
        verdict(pollingMark(pair)),
      ],
      [...row("RSS at rest", (each) => each.rssAtRestBytes, megabytesText), ""],
    ],
  );
}

function markOf(pods: number, ours: ReadFigure, theirs: ReadFigure): Mark | undefined {
  const limit = limits.find((each) => each.pods === pods && each.rpcs.includes(ours.rpc));
  if (!limit || ours.callers !== 1) return undefined;
  return { what: `${ours.rpc} with ${pods} pods`, value: ours.p50Ms / theirs.p50Ms, most: limit.most };
}

function pollingMark({ pods, ours, theirs }: Pair): Mark | undefined {
  if (pods < pollingHeldFrom) return undefined;
  const what = `Docker's CPU while lists are polled with ${pods} pods`;
  return { what, value: pollingCpu(ours) / pollingCpu(theirs), most: mostPollingCpu };
}

function pollingCpu(figures: ReadFigures): number {
  return figures.dockerCpuSecondsPerSecondOfPolling;
}

function pairsOf(figures: readonly ReadFigures[]): Pair[] {
  return [...new Set(figures.map(({ pods }) => pods))].flatMap((pods) => {
    const of = (name: string) => figures.find(({ shim, pods: other }) => shim === name && other === pods);
    const [ours, theirs] = [of("docker-cri"), of("cri-dockerd")];
    return ours && theirs ? [{ pods, ours, theirs }] : [];
  });
}

function readsOf({ ours, theirs }: Pair): { readonly ours: ReadFigure; readonly theirs: ReadFigure }[] {
  return ours.reads.flatMap((read) => {
    const other = theirs.reads.find(({ rpc, callers }) => rpc === read.rpc && callers === read.callers);
    return other ? [{ ours: read, theirs: other }] : [];
  });
}
