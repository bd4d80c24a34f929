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
import { alone, inTurn, startOurs, startPeer, wakeMs, type MeasuredShim } from "./shims.js";

/** What both shims answer. */
export const sharedRpcs = ["ListContainerStats", "ContainerStats", "ImageFsInfo"] as const;
/** What docker-cri alone answers. */
const ownRpcs = ["ListPodSandboxStats", "ListPodSandboxMetrics"] as const;
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

export type SharedRpc = (typeof sharedRpcs)[number];

/** One value of each shim. */
export interface Pair {
  readonly ours: number;
  readonly theirs: number;
}

/** What both showed with so many containers on the node; times are milliseconds. */
export interface StatsFigures {
  readonly containers: number;
  /** Medians of calls one after the other. */
  readonly calls: Readonly<Record<SharedRpc, Pair>>;
  readonly own: Readonly<Record<string, number>>;
  /** The mean time of ImageFsInfo at a kubelet's pace: cri-dockerd repeats an answer for 30 s. */
  readonly polledImageFsInfo: Pair;
  /** CPU that Docker used while the stats were polled, beyond what it uses without a shim. */
  readonly dockerCpuSeconds: Pair;
  /** The part of docker-cri's that is there without polls, too. */
  readonly dockerCpuSecondsAtRest: number;
  /** Of one core, that docker-cri used while only ImageFsInfo was asked, every 10 s. */
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
      await timed(`making ${containers - made} containers`, () => makeContainers(theirs, containers - made));
      made = containers;
      const measure = () => measureWith(containers, dockerd, { ours, theirs }, options.rounds);
      figures.push(await timed(`stats of ${containers}`, measure));
    }
    return figures;
  });
}

async function makeContainers(shim: MeasuredShim, count: number): Promise<void> {
  const common = { rpc: "MakePods", callers: makersAtOnce, hostNetwork: true, maxSeconds: 1_800 };
  const rest = count % containersPerPod;
  const steps: CribenchStep[] = [
    ...(count > rest ? [{ ...common, calls: (count - rest) / containersPerPod, containersPerPod }] : []),
    ...(rest > 0 ? [{ ...common, calls: 1, containersPerPod: rest }] : []),
  ];
  for (const { rpc, errors, firstError } of await cribench(shim.endpoint, steps, { timeoutMs: 1_900_000 }))
    if (errors > 0) throw new Error(`${shim.name}: ${errors} ${rpc} failed: ${firstError ?? ""}`);
}

interface Shims {
  readonly ours: MeasuredShim;
  readonly theirs: MeasuredShim;
}

async function measureWith(
  containers: number,
  dockerd: Dockerd,
  { ours, theirs }: Shims,
  rounds: number,
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
  const cpuOf = <T>(work: () => Promise<T>) => dockerCpuPerSecond(dockerd, work);
  const unasked = await alone(undefined, shims, () => cpuOf(() => pause(pollSeconds * 1_000)));
  const resting = await alone(ours, shims, () => cpuOf(() => rest(ours)));
  const oursPolled = await alone(ours, shims, () =>
    cpuOf(() => poll(ours, "ListContainerStats", pollSeconds)),
  );
  const theirsPolled = await alone(theirs, shims, () =>
    cpuOf(() => poll(theirs, "ListContainerStats", pollSeconds)),
  );
  const theirsImages = await alone(theirs, shims, () => poll(theirs, "ImageFsInfo", pollSeconds));
  const beyond = ({ cpuPerSecond }: WithDockerCpu<unknown>) =>
    Math.max(0, cpuPerSecond - unasked.cpuPerSecond) * pollSeconds;
  const middle = (who: keyof Shims, rpc: string) => median(turns.map((turn) => turn[who].get(rpc) ?? NaN));
  const pairOf = (rpc: SharedRpc) => ({ ours: middle("ours", rpc), theirs: middle("theirs", rpc) });
  return {
    containers,
    calls: {
      ListContainerStats: pairOf("ListContainerStats"),
      ContainerStats: pairOf("ContainerStats"),
      ImageFsInfo: pairOf("ImageFsInfo"),
    },
    own: Object.fromEntries(ownRpcs.map((rpc) => [rpc, middle("ours", rpc)])),
    polledImageFsInfo: { ours: resting.result.imageFsInfoMs, theirs: theirsImages },
    dockerCpuSeconds: { ours: beyond(oursPolled), theirs: beyond(theirsPolled) },
    dockerCpuSecondsAtRest: beyond(resting),
    cpuAtRest: resting.result.cpu,
  };
}

/** The median time of each RPC. */
type Turn = ReadonlyMap<string, number>;

/** @throws Error when a call failed, or an answer is not whole. */
async function callAll(shim: MeasuredShim, rpcs: readonly string[], containers: number): Promise<Turn> {
  await pause(wakeMs);
  // A server of Node's is not measured in its first calls; cri-dockerd's are all the same, and take long.
  const warmup = shim.name === "docker-cri" ? 10 : 0;
  const steps = rpcs.map((rpc): CribenchStep => ({ rpc, calls: 50, seconds: listSeconds, warmup }));
  const results = await cribench(shim.endpoint, steps);
  const least: Readonly<Record<string, number>> = { ListContainerStats: containers, ImageFsInfo: 1 };
  for (const result of results) {
    checkCalls(shim, result);
    const { rpc, minItems } = result;
    if (minItems < (least[rpc] ?? 0)) throw new Error(`${shim.name}: ${rpc} shows only ${minItems}`);
  }
  return new Map(results.map(({ rpc, p50Ms }) => [rpc, p50Ms]));
}

/** Calls an RPC at a kubelet's pace. @returns The mean time in milliseconds. */
async function poll(shim: MeasuredShim, rpc: string, seconds: number): Promise<number> {
  const [result] = await cribench(shim.endpoint, [{ rpc, seconds, everyMs: pollEveryMs }]);
  if (!result) throw new Error(`${shim.name}: ${rpc} was not called`);
  checkCalls(shim, result);
  return result.meanMs;
}

function checkCalls({ name }: MeasuredShim, { rpc, errors, firstError, calls }: CribenchResult): void {
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

async function rest(shim: MeasuredShim): Promise<{ readonly cpu: number; readonly imageFsInfoMs: number }> {
  const beganMs = performance.now();
  const before = shim.service.cpuSeconds();
  const imageFsInfoMs = await poll(shim, "ImageFsInfo", restSeconds);
  const cpuSeconds = shim.service.cpuSeconds() - before;
  return { cpu: (cpuSeconds * 1_000) / (performance.now() - beganMs), imageFsInfoMs };
}
