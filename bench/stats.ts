import { setTimeout as pause } from "node:timers/promises";
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
import {
  runtimeNames,
  startRuntimes,
  type MeasuredRuntime,
  type MeasuredRuntimes,
  type RuntimeName,
} from "./runtimes.js";
import { alone, inTurn, wakeMs } from "./shims.js";

/** What is called, and who answers it. */
export const statsRpcs = {
  ListContainerStats: runtimeNames,
  ContainerStats: runtimeNames,
  ImageFsInfo: runtimeNames,
  // containerd has none for pods without a cgroup of their own, as these are.
  ListPodSandboxStats: ["docker-cri"],
  ListPodSandboxMetrics: ["docker-cri"],
} as const satisfies Readonly<Record<string, readonly RuntimeName[]>>;
export type StatsRpc = keyof typeof statsRpcs;
/** As a kubelet does. */
const pollEveryMs = 10_000;
/** A list of 250 takes cri-dockerd 20 s and more on Docker 20.10, so that in as much time it polls less often. */
export const pollSeconds = 40;
/** Twelve containers at once wait a second each. */
const listSeconds = 5;
/** As long as a round of docker-cri's background work. */
const restSeconds = 60;
const makersAtOnce = 4;
const containersPerPod = 5;

/** One value of each runtime. */
export type OfEach<T> = Readonly<Record<RuntimeName, T>>;
type Shim = Exclude<RuntimeName, "containerd">;

/** What all showed with so many containers on the node; times are milliseconds. */
export interface StatsFigures {
  readonly containers: number;
  /** Medians of calls one after the other. */
  readonly calls: Readonly<Record<StatsRpc, Partial<OfEach<number>>>>;
  /** The mean time of ImageFsInfo at a kubelet's pace: cri-dockerd repeats an answer for 30 s. */
  readonly polledImageFsInfo: OfEach<number>;
  /** CPU that Docker used while the stats were polled, beyond what it uses without a shim. */
  readonly dockerCpuSeconds: Readonly<Record<Shim, number>>;
  /** The part of docker-cri's that is there without polls, too. */
  readonly dockerCpuSecondsAtRest: number;
  /** Of one core, that docker-cri used while only ImageFsInfo was asked, every 10 s. */
  readonly cpuAtRest: number;
}

/** Measures stats in turn: the shims see the same containers of one dockerd, and containerd has as many of its own. */
export async function measureStats(options: BenchOptions): Promise<StatsFigures[]> {
  return await withLab(async (lab) => {
    const dockerd = await lab.dockerd({
      name: "bench-stats",
      engine: options.engine,
      liftNegativeOomScore: true,
    });
    const runtimes = await startRuntimes(lab, dockerd, options.program);
    const { containerd, "cri-dockerd": theirs } = runtimes;
    const figures: StatsFigures[] = [];
    let made = 0;
    for (const containers of options.pods.filter((count) => count > 1)) {
      for (const maker of [theirs, containerd])
        await timed(`making ${containers - made} containers with ${maker.name}`, () =>
          makeContainers(maker, containers - made),
        );
      made = containers;
      const measure = () => measureWith(containers, dockerd, runtimes, options.rounds);
      figures.push(await timed(`stats of ${containers}`, measure));
    }
    return figures;
  });
}

async function makeContainers(runtime: MeasuredRuntime, count: number): Promise<void> {
  const { image } = runtime;
  const common = { rpc: "MakePods", callers: makersAtOnce, hostNetwork: true, maxSeconds: 1_800, image };
  const rest = count % containersPerPod;
  const steps: CribenchStep[] = [
    ...(count > rest ? [{ ...common, calls: (count - rest) / containersPerPod, containersPerPod }] : []),
    ...(rest > 0 ? [{ ...common, calls: 1, containersPerPod: rest }] : []),
  ];
  for (const result of await cribench(runtime.endpoint, steps, { timeoutMs: 1_900_000 }))
    checkCalls(runtime, result);
}

async function measureWith(
  containers: number,
  dockerd: Dockerd,
  runtimes: MeasuredRuntimes,
  rounds: number,
): Promise<StatsFigures> {
  const all = Object.values(runtimes);
  const { "docker-cri": ours, "cri-dockerd": theirs, containerd } = runtimes;
  const turns: OfEach<Turn>[] = [];
  for (let round = 0; round < rounds; round++) {
    const turn = (runtime: MeasuredRuntime) => () => alone(runtime, all, () => callAll(runtime, containers));
    turns.push(
      await inTurn(round, {
        "docker-cri": turn(ours),
        "cri-dockerd": turn(theirs),
        containerd: turn(containerd),
      }),
    );
  }
  const cpuOf = <T>(work: () => Promise<T>) => dockerCpuPerSecond(dockerd, work);
  const pollAlone = (runtime: MeasuredRuntime, rpc: StatsRpc) =>
    alone(runtime, all, () => cpuOf(() => poll(runtime, rpc, pollSeconds)));
  const unasked = await alone(undefined, all, () => cpuOf(() => pause(pollSeconds * 1_000)));
  const resting = await alone(ours, all, () => cpuOf(() => rest(ours)));
  const oursPolled = await pollAlone(ours, "ListContainerStats");
  const theirsPolled = await pollAlone(theirs, "ListContainerStats");
  const polledImageFsInfo = {
    "docker-cri": resting.result.imageFsInfoMs,
    "cri-dockerd": (await pollAlone(theirs, "ImageFsInfo")).result,
    containerd: (await pollAlone(containerd, "ImageFsInfo")).result,
  };
  const beyond = ({ cpuPerSecond }: WithDockerCpu<unknown>) =>
    Math.max(0, cpuPerSecond - unasked.cpuPerSecond) * pollSeconds;
  return {
    containers,
    calls: middleOf(turns),
    polledImageFsInfo,
    dockerCpuSeconds: { "docker-cri": beyond(oursPolled), "cri-dockerd": beyond(theirsPolled) },
    dockerCpuSecondsAtRest: beyond(resting),
    cpuAtRest: resting.result.cpu,
  };
}

function middleOf(turns: readonly OfEach<Turn>[]): StatsFigures["calls"] {
  const rows = Object.entries(statsRpcs).map(([rpc, names]) => {
    const middles = names.map((name) => [name, median(turns.map((turn) => turn[name].get(rpc) ?? NaN))]);
    return [rpc, Object.fromEntries(middles) as Partial<OfEach<number>>];
  });
  return Object.fromEntries(rows) as StatsFigures["calls"];
}

/** The median time of each RPC. */
type Turn = ReadonlyMap<string, number>;

/** @throws Error when a call failed, or an answer is not whole. */
async function callAll(runtime: MeasuredRuntime, containers: number): Promise<Turn> {
  await pause(wakeMs);
  const rpcs = Object.entries<readonly RuntimeName[]>(statsRpcs).filter(([, names]) =>
    names.includes(runtime.name),
  );
  // A server of Node's is not measured in its first calls; cri-dockerd's are all the same, and take long.
  const warmup = runtime.name === "cri-dockerd" ? 0 : 10;
  const steps = rpcs.map(([rpc]): CribenchStep => ({ rpc, calls: 50, seconds: listSeconds, warmup }));
  const results = await cribench(runtime.endpoint, steps);
  const least: Readonly<Record<string, number>> = { ListContainerStats: containers, ImageFsInfo: 1 };
  for (const result of results) {
    checkCalls(runtime, result);
    const { rpc, minItems } = result;
    if (minItems < (least[rpc] ?? 0)) throw new Error(`${runtime.name}: ${rpc} shows only ${minItems}`);
  }
  return new Map(results.map(({ rpc, p50Ms }) => [rpc, p50Ms]));
}

/** Calls an RPC at a kubelet's pace. @returns The mean time in milliseconds. */
async function poll(shim: MeasuredRuntime, rpc: StatsRpc, seconds: number): Promise<number> {
  const [result] = await cribench(shim.endpoint, [{ rpc, seconds, everyMs: pollEveryMs }]);
  if (!result) throw new Error(`${shim.name}: ${rpc} was not called`);
  checkCalls(shim, result);
  return result.meanMs;
}

function checkCalls({ name }: MeasuredRuntime, { rpc, errors, firstError, calls }: CribenchResult): void {
  if (errors > 0 || calls === 0) throw new Error(`${name}: ${errors} ${rpc} failed: ${firstError ?? ""}`);
}

interface WithDockerCpu<T> {
  readonly result: T;
  readonly cpuPerSecond: number;
}

async function dockerCpuPerSecond<T>(dockerd: Dockerd, work: () => Promise<T>): Promise<WithDockerCpu<T>> {
  const beganMs = performance.now();
  const before = await dockerd.exactCpuSeconds();
  const result = await work();
  const cpuSeconds = (await dockerd.exactCpuSeconds()) - before;
  return { result, cpuPerSecond: (cpuSeconds * 1_000) / (performance.now() - beganMs) };
}

async function rest(
  shim: MeasuredRuntime,
): Promise<{ readonly cpu: number; readonly imageFsInfoMs: number }> {
  const beganMs = performance.now();
  const before = shim.service.cpuSeconds();
  const imageFsInfoMs = await poll(shim, "ImageFsInfo", restSeconds);
  const cpuSeconds = shim.service.cpuSeconds() - before;
  return { cpu: (cpuSeconds * 1_000) / (performance.now() - beganMs), imageFsInfoMs };
}
