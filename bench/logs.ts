import { rm } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { cribench, timed, withLab, type Dockerd, type Lab } from "../test/docker/lab/index.js";
import { followerOf, startBare, startShim, weighed, type Follower } from "./log-followers.js";
import { startSayers, startShouter, type Sayers } from "./log-sayers.js";
import type { BenchOptions } from "./options.js";
import { startPeer } from "./shims.js";

/** Who did what with the logs meanwhile. */
export type LogMode =
  "bare follow" | "docker-cri" | "docker-cri, CPUWeight=1000" | "docker-cri, docker-json" | "cri-dockerd";

/** What was measured while containers spoke. */
export interface LogFigure {
  readonly load: string;
  readonly mode: LogMode;
  readonly lines: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly dockerdCpuSeconds: number;
  readonly rssBytes: number;
  /** Of the machine's cores, what nobody used. */
  readonly idleCores: number;
  /** ListContainers, by grpc-go every 20 ms. */
  readonly listMs: { readonly p50: number; readonly p99: number } | undefined;
}

/** What the systemd unit in packaging gives docker-cri of the CPU. */
const unitCpuWeight = 1_000;
/** Those that take logs, each in every round. */
const followers = ["bare follow", "docker-cri", "docker-cri, CPUWeight=1000"] as const;

export const shoutingLoad = "one that shouts";
export const fullLoad = (options: Pick<BenchOptions, "sayers">) => `${options.sayers} × 50 lines/s`;

const listEveryMs = 20;
const sayingSeconds = 15;
/** Lists beside a shouting container end before it does. */
const shoutingListSeconds = 5;
/** Of all containers, which speak so that the machine is not at its limit. */
const fewOf = (all: number) => Math.ceil(all / 5);
const warmUpMs = 5_000;
const settleEveryMs = 2_000;

/** Measures what keeping logs costs beside a bare follow of Docker's logs, and who is asked for lists meanwhile. */
export async function measureLogs(options: BenchOptions): Promise<LogFigure[]> {
  return await withLab(async (lab) => {
    const dockerd = await lab.dockerd({ engine: options.engine, name: "bench" });
    const figures: LogFigure[] = [];
    const turns = Array.from({ length: options.rounds }, () => followers).flat();
    const shouting: LogMode[] = [...turns, "docker-cri, docker-json", "cri-dockerd"];
    for (const [index, mode] of shouting.entries()) {
      const measure = () => shout(lab, dockerd, mode, options, `shout-${index}`);
      figures.push(await timed(`a shouting container, ${mode}`, measure));
    }
    const sayers = await timed(`starting ${options.sayers} containers`, () =>
      startSayers(dockerd, options.sayers),
    );
    const plan: (readonly [LogMode, number])[] = [
      ...turns.map((mode) => [mode, options.sayers] as const),
      ["docker-cri", fewOf(options.sayers)],
      ["docker-cri", 0],
      ["docker-cri, docker-json", options.sayers],
      ["cri-dockerd", options.sayers],
    ];
    for (const [mode, speaking] of plan) {
      const measure = () => listen(lab, dockerd, mode, options, sayers, speaking);
      figures.push(await timed(`${speaking} of ${options.sayers} speak, ${mode}`, measure));
    }
    return figures;
  });
}

async function shout(
  lab: Lab,
  dockerd: Dockerd,
  mode: LogMode,
  options: BenchOptions,
  name: string,
): Promise<LogFigure> {
  await using shouter = await startShouter(dockerd, name, options.lines);
  await using follower = await start(lab, dockerd, mode, options, [shouter.id]);
  await settled(follower);
  return await measured(dockerd, follower, { load: shoutingLoad, mode }, async () => {
    await shouter.begin();
    const began = performance.now();
    // Counting reads the whole log, for which it takes much of a core: not while lists are asked for.
    const listMs = await listContainers(follower, shoutingListSeconds);
    // Who follows no log is only asked for lists meanwhile.
    if (mode === "docker-cri, docker-json" || mode === "cri-dockerd")
      return { lines: 0, seconds: shoutingListSeconds, listMs };
    while ((await follower.lines()) < options.lines) await pause(50);
    return { lines: options.lines, seconds: (performance.now() - began) / 1_000, listMs };
  });
}

async function listen(
  lab: Lab,
  dockerd: Dockerd,
  mode: LogMode,
  options: BenchOptions,
  sayers: Sayers,
  speaking: number,
): Promise<LogFigure> {
  // What is stored is read while nobody speaks: only what is said from then on is measured.
  await using follower = await start(lab, dockerd, mode, options, sayers.ids);
  await settled(follower);
  sayers.thaw(speaking);
  try {
    await pause(warmUpMs);
    return await measured(dockerd, follower, { load: `${speaking} × 50 lines/s`, mode }, async () => {
      const began = performance.now();
      const before = await follower.lines();
      const [listMs] = await Promise.all([
        listContainers(follower, sayingSeconds),
        pause(sayingSeconds * 1_000),
      ]);
      const lines = (await follower.lines()) - before;
      return { lines, seconds: (performance.now() - began) / 1_000, listMs };
    });
  } finally {
    sayers.freeze();
    await settled(follower);
  }
}

async function start(
  lab: Lab,
  dockerd: Dockerd,
  mode: LogMode,
  { program }: BenchOptions,
  ids: readonly string[],
): Promise<Follower> {
  if (mode === "bare follow") return await startBare(dockerd, ids);
  if (mode === "docker-cri") return await startShim(lab, dockerd, program, "cri");
  if (mode === "docker-cri, CPUWeight=1000") {
    const follower = await startShim(lab, dockerd, program, "cri");
    return await weighed(follower, unitCpuWeight);
  }
  if (mode === "docker-cri, docker-json") {
    // A log that is a file is pumped in this mode too.
    await rm(join(dockerd.folder, "pods"), { recursive: true, force: true });
    return await startShim(lab, dockerd, program, "docker-json");
  }
  const { service, endpoint } = await startPeer(lab, dockerd);
  return followerOf(service, endpoint);
}

/** Waits until the follower has nothing left to do. */
async function settled(follower: Follower): Promise<void> {
  for (let before = -1, used = follower.cpuSeconds(); ;) {
    await pause(settleEveryMs);
    const [lines, now] = [await follower.lines(), follower.cpuSeconds()];
    if (lines === before && now - used < (settleEveryMs / 1_000) * 0.1) return;
    [before, used] = [lines, now];
  }
}

type Work = Pick<LogFigure, "lines" | "seconds" | "listMs">;

async function measured(
  dockerd: Dockerd,
  follower: Follower,
  what: Pick<LogFigure, "load" | "mode">,
  work: () => Promise<Work>,
): Promise<LogFigure> {
  const [cpu, dockerdCpu, idle] = [follower.cpuSeconds(), await dockerd.cpuSeconds(), idleSeconds()];
  const began = performance.now();
  const done = await work();
  const idleCores = ((idleSeconds() - idle) * 1_000) / (performance.now() - began);
  return {
    ...what,
    ...done,
    cpuSeconds: follower.cpuSeconds() - cpu,
    dockerdCpuSeconds: (await dockerd.cpuSeconds()) - dockerdCpu,
    rssBytes: await follower.rssBytes(),
    idleCores,
  };
}

async function listContainers({ endpoint }: Follower, seconds: number): Promise<LogFigure["listMs"]> {
  if (endpoint === undefined) return undefined;
  const [result] = await cribench(endpoint, [{ rpc: "ListContainers", seconds, everyMs: listEveryMs }]);
  if (!result || result.errors > 0) throw new Error(`ListContainers: ${result?.firstError ?? "no result"}`);
  return { p50: result.p50Ms, p99: result.p99Ms };
}

function idleSeconds(): number {
  return cpus().reduce((sum, { times }) => sum + times.idle, 0) / 1_000;
}
