import {
  cribench,
  timed,
  withLab,
  type CribenchResult,
  type CribenchStep,
  type Dockerd,
} from "../test/docker/lab/index.js";
import { median } from "./numbers.js";
import type { BenchOptions } from "./options.js";
import { alone, startOurs, startPeer, type MeasuredShim, type ShimName } from "./shims.js";

export const readRpcs = [
  "Version",
  "Status",
  "ListPodSandbox",
  "ListContainers",
  "PodSandboxStatus",
  "ContainerStatus",
  "ListImages",
  "ImageStatus",
] as const;

/** One RPC, by so many callers at the same time; milliseconds, and the middle of all rounds. */
export interface ReadFigure {
  readonly rpc: string;
  readonly callers: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly calls: number;
  /** The longest list that was answered. */
  readonly items: number;
}

/** What one shim showed with so many pods on the node. */
export interface ReadFigures {
  readonly shim: ShimName;
  readonly pods: number;
  readonly reads: readonly ReadFigure[];
  /** CPU that Docker used while the reads were made, for a thousand of them. */
  readonly dockerCpuSecondsPerThousandReads: number;
  /** CPU that Docker used in a second of both lists being asked for every 100 ms, beyond what it uses unasked. */
  readonly dockerCpuSecondsPerSecondOfPolling: number;
  /** CPU that Docker used in a second of nobody asking: every shim was frozen. */
  readonly dockerCpuSecondsPerSecondOfRest: number;
  readonly rssAtRestBytes: number;
}

const callerCounts = [1, 10] as const;
const callsOfOne = 400;
/** A server that serves for weeks is not measured in its first seconds. */
const warmUpCalls = 200;
const callsOfTen = 1_000;
/** A step ends after this time, for the sake of what is slow. */
const stepSeconds = 6;
const pollSeconds = 20;
const pollEveryMs = 100;
const restMs = 3_000;
const makersAtOnce = 4;

/** Measures docker-cri and cri-dockerd in turn on one dockerd, where both see the same pods: more and more of them. */
export async function measureReadsOfBoth(options: BenchOptions): Promise<ReadFigures[]> {
  return await withLab(async (lab) => {
    const dockerd = await lab.dockerd({ name: "bench", engine: options.engine, liftNegativeOomScore: true });
    const peer = await startPeer(lab, dockerd);
    const ours = await startOurs(lab, dockerd, options.program);
    const figures: ReadFigures[] = [];
    let made = 0;
    for (const pods of options.pods) {
      await timed(`making ${pods - made} pods`, () => makePods(peer, pods - made));
      made = pods;
      const measure = () => measureReads(dockerd, [peer, ours], pods, options.rounds);
      figures.push(...(await timed(`reading with ${pods} pods`, measure)));
    }
    return figures;
  });
}

/** Makes pods that stay. @throws Error when one could not be made. */
export async function makePods(shim: MeasuredShim, count: number): Promise<void> {
  if (count === 0) return;
  const step = { rpc: "MakePods", calls: count, callers: makersAtOnce, hostNetwork: true, maxSeconds: 1_800 };
  const results = await cribench(shim.endpoint, [step], { timeoutMs: 1_900_000 });
  for (const { rpc, calls, firstError } of results)
    if (calls !== count) throw new Error(`${shim.name}: ${calls} of ${count} ${rpc}: ${firstError ?? ""}`);
}

/** Measures the shims in turn, each alone with Docker, as often as there are rounds. */
async function measureReads(
  dockerd: Dockerd,
  shims: readonly MeasuredShim[],
  pods: number,
  rounds: number,
): Promise<ReadFigures[]> {
  const turns = new Map(shims.map((shim) => [shim, [] as Turn[]]));
  const resting: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const shim of shims) {
      const turn = await alone(shim, shims, () => takeTurn(dockerd, shim, pods));
      turns.get(shim)?.push(turn);
    }
    resting.push(await alone(undefined, shims, () => restingCpu(dockerd)));
  }
  return [...turns].map(([shim, taken]) => summarize(shim.name, pods, taken, median(resting)));
}

async function restingCpu(dockerd: Dockerd): Promise<number> {
  const before = await dockerd.cpuSeconds();
  await new Promise((resolve) => setTimeout(resolve, pollSeconds * 1_000));
  return ((await dockerd.cpuSeconds()) - before) / pollSeconds;
}

interface Turn {
  readonly results: readonly CribenchResult[];
  readonly readCpuSeconds: number;
  readonly pollCpuSeconds: number;
  readonly rssBytes: number;
}

async function takeTurn(dockerd: Dockerd, shim: MeasuredShim, pods: number): Promise<Turn> {
  await new Promise((resolve) => setTimeout(resolve, restMs));
  const rssBytes = await shim.service.rssBytes();
  const beforeReads = await dockerd.cpuSeconds();
  const results = await cribench(shim.endpoint, callerCounts.flatMap(stepsFor));
  const afterReads = await dockerd.cpuSeconds();
  const polls = await cribench(shim.endpoint, [polling]);
  const afterPolls = await dockerd.cpuSeconds();
  for (const { rpc, errors, firstError, maxItems, calls } of [...results, ...polls]) {
    if (errors > 0 || calls === 0)
      throw new Error(`${shim.name}, ${rpc}: ${errors} errors: ${firstError ?? ""}`);
    if (rpc === "ListPodSandbox" && maxItems !== pods)
      throw new Error(`${shim.name} lists ${maxItems} pods, not ${pods}`);
  }
  return {
    results,
    readCpuSeconds: afterReads - beforeReads,
    pollCpuSeconds: afterPolls - afterReads,
    rssBytes,
  };
}

function stepsFor(callers: number): CribenchStep[] {
  const calls = callers === 1 ? callsOfOne : callsOfTen;
  return readRpcs.map((rpc) => ({ rpc, callers, calls, seconds: stepSeconds, warmup: warmUpCalls }));
}

const polling: CribenchStep = {
  together: ["ListPodSandbox", "ListContainers"].map((rpc) => ({
    rpc,
    seconds: pollSeconds,
    everyMs: pollEveryMs,
  })),
};

function summarize(shim: ShimName, pods: number, turns: readonly Turn[], idleCpu: number): ReadFigures {
  const reads = callerCounts.flatMap((callers) =>
    readRpcs.map((rpc): ReadFigure => {
      const measured = turns.flatMap(({ results }) =>
        results.filter((result) => result.rpc === rpc && result.callers === callers),
      );
      return {
        rpc,
        callers,
        p50Ms: median(measured.map(({ p50Ms }) => p50Ms)),
        p99Ms: median(measured.map(({ p99Ms }) => p99Ms)),
        calls: measured.reduce((sum, { calls }) => sum + calls, 0),
        items: Math.max(...measured.map(({ maxItems }) => maxItems)),
      };
    }),
  );
  const cpuPerThousand = ({ results, readCpuSeconds }: Turn) =>
    (readCpuSeconds * 1000) / results.reduce((sum, { calls }) => sum + calls, 0);
  return {
    shim,
    pods,
    reads,
    dockerCpuSecondsPerThousandReads: median(turns.map(cpuPerThousand)),
    dockerCpuSecondsPerSecondOfPolling: Math.max(
      0,
      median(turns.map(({ pollCpuSeconds }) => pollCpuSeconds / pollSeconds)) - idleCpu,
    ),
    dockerCpuSecondsPerSecondOfRest: idleCpu,
    rssAtRestBytes: median(turns.map(({ rssBytes }) => rssBytes)),
  };
}
