import { setTimeout as pause } from "node:timers/promises";
import { cribench, timed, withLab, type CribenchStep, type Dockerd } from "../test/docker/lab/index.js";
import { verdict, type Mark } from "./marks.js";
import { median } from "./numbers.js";
import type { BenchOptions } from "./options.js";
import { alone, inTurn, startOurs, startPeer, wakeMs, type MeasuredShim } from "./shims.js";
import { ratioText, table } from "./tables.js";

/** What both answer, and how much of cri-dockerd's time it may take. */
const shared = { ListContainerStats: 0.15, ContainerStats: 0.3, ImageFsInfo: 1 } as const;
/** What docker-cri alone answers. */
const ownRpcs = ["ListPodSandboxStats", "ListPodSandboxMetrics"] as const;
const mostDockerCpu = 0.02;
const mostCpuAtRest = 0.01;
/** As a kubelet does. */
const pollEveryMs = 10_000;
const pollSeconds = 120;
const restSeconds = 60;
const makersAtOnce = 4;
const containersPerPod = 1;

type SharedRpc = keyof typeof shared;

/** What both showed with so many containers on the node; times are milliseconds. */
export interface StatsFigures {
  readonly containers: number;
  readonly calls: Readonly<Record<SharedRpc, { readonly oursMs: number; readonly theirsMs: number }>>;
  readonly own: Readonly<Record<string, number>>;
  /** CPU that Docker used while the stats were polled every 10 s for two minutes, beyond what it uses unasked. */
  readonly dockerCpuSeconds: { readonly ours: number; readonly theirs: number };
  /** Of one core, that docker-cri used while nothing was asked. */
  readonly cpuAtRest: number;
}

/** Measures stats in turn on one dockerd, where both shims see the same containers. */
export async function measureStats(options: BenchOptions): Promise<StatsFigures[]> {
  return await withLab(async (lab) => {
    const dockerd = await lab.dockerd({
      name: "bench-stats",
      engine: options.engine,
      liftNegativeOomScore: true,
    });
    const theirs = await startPeer(lab, dockerd);
    const ours = await startOurs(lab, dockerd, options.program);
    const figures: StatsFigures[] = [];
    let made = 0;
    for (const containers of options.pods.filter((count) => count > 1)) {
      await timed(`making ${containers - made} pods`, () => makePods(theirs, containers - made));
      made = containers;
      figures.push(
        await timed(`stats of ${containers}`, () =>
          measure(dockerd, { ours, theirs }, options.rounds, containers),
        ),
      );
    }
    return figures;
  });
}

/** The figures as markdown: times and ratios to cri-dockerd. */
export function statsMarkdown(figures: readonly StatsFigures[]): string {
  return figures
    .map((figure) => {
      const marks = marksOf(figure);
      const calls = Object.entries(figure.calls).map(([rpc, { oursMs, theirsMs }], index) => [
        rpc,
        `${oursMs.toFixed(2)} / ${theirsMs.toFixed(2)} ms`,
        ratioText(oursMs, theirsMs),
        verdict(marks[index]),
      ]);
      const own = Object.entries(figure.own).map(([rpc, ms]) => [rpc, `${ms.toFixed(2)} / - ms`, "", ""]);
      const { ours, theirs } = figure.dockerCpuSeconds;
      const rest = [
        [
          `Docker's CPU, stats polled every 10 s for ${pollSeconds} s`,
          `${ours.toFixed(2)} / ${theirs.toFixed(2)} s`,
          ratioText(ours, theirs),
          verdict(marks.at(-2)),
        ],
        [
          "docker-cri's CPU at rest",
          `${(figure.cpuAtRest * 100).toFixed(2)} % of a core`,
          "",
          verdict(marks.at(-1)),
        ],
      ];
      const rows = [...calls, ...own, ...rest];
      return `### ${figure.containers} containers: docker-cri / cri-dockerd\n\n${table(["", "p50", "ratio", "wanted"], rows)}`;
    })
    .join("\n\n");
}

/** What must hold of the figures. */
export function statsMarks(figures: readonly StatsFigures[]): Mark[] {
  return figures.flatMap(marksOf);
}

function marksOf({ containers, calls, dockerCpuSeconds, cpuAtRest }: StatsFigures): Mark[] {
  const rpcs = Object.entries(shared).map(([rpc, most]) => {
    const { oursMs, theirsMs } = calls[rpc as SharedRpc];
    return { what: `${rpc} with ${containers} containers`, value: oursMs / theirsMs, most };
  });
  const polled = dockerCpuSeconds.ours / dockerCpuSeconds.theirs;
  return [
    ...rpcs,
    { what: `Docker's CPU while the stats of ${containers} are polled`, value: polled, most: mostDockerCpu },
    { what: `docker-cri's CPU at rest with ${containers} containers`, value: cpuAtRest, most: mostCpuAtRest },
  ];
}

async function makePods(shim: MeasuredShim, count: number): Promise<void> {
  const step = { rpc: "MakePods", calls: count, callers: makersAtOnce, containersPerPod, maxSeconds: 1_800 };
  const results = await cribench(shim.endpoint, [{ ...step, hostNetwork: true }], { timeoutMs: 1_900_000 });
  for (const { rpc, errors, firstError } of results)
    if (errors > 0) throw new Error(`${shim.name}: ${errors} ${rpc} failed: ${firstError ?? ""}`);
}

interface Shims {
  readonly ours: MeasuredShim;
  readonly theirs: MeasuredShim;
}

async function measure(
  dockerd: Dockerd,
  { ours, theirs }: Shims,
  rounds: number,
  containers: number,
): Promise<StatsFigures> {
  const shims = [ours, theirs];
  const turns: { ours: Turn; theirs: Turn }[] = [];
  for (let round = 0; round < rounds; round++) {
    turns.push(
      await inTurn(round, {
        ours: () => alone(ours, shims, () => callAll(ours, [...sharedRpcs, ...ownRpcs], containers)),
        theirs: () => alone(theirs, shims, () => callAll(theirs, sharedRpcs, containers)),
      }),
    );
  }
  const unasked = await alone(undefined, shims, () => dockerCpu(dockerd, () => pause(restSeconds * 1_000)));
  const beyondRest = (seconds: number) => Math.max(0, seconds - (unasked * pollSeconds) / restSeconds);
  const polled = (shim: MeasuredShim) => alone(shim, shims, () => dockerCpu(dockerd, () => poll(shim)));
  const dockerCpuSeconds = { ours: beyondRest(await polled(ours)), theirs: beyondRest(await polled(theirs)) };
  const cpuAtRest = await alone(ours, shims, () => ownCpu(ours));
  const middle = (who: keyof Shims, rpc: string) => median(turns.map((turn) => turn[who].get(rpc) ?? NaN));
  return {
    containers,
    calls: Object.fromEntries(
      sharedRpcs.map((rpc) => [rpc, { oursMs: middle("ours", rpc), theirsMs: middle("theirs", rpc) }]),
    ) as StatsFigures["calls"],
    own: Object.fromEntries(ownRpcs.map((rpc) => [rpc, middle("ours", rpc)])),
    dockerCpuSeconds,
    cpuAtRest,
  };
}

const sharedRpcs = Object.keys(shared) as SharedRpc[];

type Turn = ReadonlyMap<string, number>;

/** @throws Error when a call failed, or a list is not whole. */
async function callAll(shim: MeasuredShim, rpcs: readonly string[], containers: number): Promise<Turn> {
  await pause(wakeMs);
  const steps = rpcs.map((rpc): CribenchStep => ({ rpc, calls: 50, seconds: 10, warmup: 10 }));
  const results = await cribench(shim.endpoint, steps);
  for (const { rpc, errors, firstError, maxItems } of results) {
    if (errors > 0) throw new Error(`${shim.name}: ${errors} ${rpc} failed: ${firstError ?? ""}`);
    if (rpc === "ListContainerStats" && maxItems !== containers * containersPerPod)
      throw new Error(`${shim.name} tells the stats of ${maxItems} containers, not ${containers}`);
  }
  return new Map(results.map(({ rpc, p50Ms }) => [rpc, p50Ms]));
}

async function poll(shim: MeasuredShim): Promise<void> {
  const steps = [{ rpc: "ListContainerStats", seconds: pollSeconds, everyMs: pollEveryMs }];
  await cribench(shim.endpoint, [{ together: steps }]);
}

async function dockerCpu(dockerd: Dockerd, work: () => Promise<void>): Promise<number> {
  const before = await dockerd.cpuSeconds();
  await work();
  return (await dockerd.cpuSeconds()) - before;
}

async function ownCpu({ service }: MeasuredShim): Promise<number> {
  await pause(wakeMs);
  const before = service.cpuSeconds();
  await pause(restSeconds * 1_000);
  return (service.cpuSeconds() - before) / restSeconds;
}
