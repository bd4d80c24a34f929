import { readdir, readlink } from "node:fs/promises";
import { cribench, timed, withLab, type Service } from "../test/docker/lab/index.js";
import type { BenchOptions } from "./options.js";
import {
  alone,
  selfReport,
  startOurs,
  startPeer,
  type MeasuredShim,
  type SelfReport,
  type ShimName,
} from "./shims.js";

/** What a process holds. */
export interface Holdings {
  readonly rssBytes: number;
  readonly descriptors: number;
  readonly sockets: number;
  /** Of docker-cri only: cri-dockerd has no such report. */
  readonly self?: SelfReport;
}

export interface ChurnFigures {
  readonly shim: ShimName;
  readonly pods: number;
  readonly seconds: number;
  readonly errors: number;
  readonly before: Holdings;
  readonly after: Holdings;
}

const callers = 4;
/** Made and removed before the first look, so that both looks find a process that has worked. */
const warmUpPods = 50;
/** Kept connections to Docker are closed after 15 s of rest, and what is late is then over too. */
const restMs = 25_000;

/** Measures docker-cri and then cri-dockerd on one dockerd. */
export async function measureChurnOfBoth(options: BenchOptions): Promise<ChurnFigures[]> {
  return await withLab(async (lab) => {
    const dockerd = await lab.dockerd({ name: "bench", engine: options.engine, liftNegativeOomScore: true });
    const peer = await startPeer(lab, dockerd);
    const ours = await startOurs(lab, dockerd, options.program);
    const figures: ChurnFigures[] = [];
    for (const shim of [ours, peer]) {
      const measure = () => alone(shim, [ours, peer], () => measureChurn(shim, options.churn));
      figures.push(await timed(`${options.churn} pods through ${shim.name}`, measure));
    }
    return figures;
  });
}

/** Makes and removes pods through a shim, and looks at what it holds before and after. */
async function measureChurn(shim: MeasuredShim, pods: number): Promise<ChurnFigures> {
  await makeAndRemove(shim, Math.min(warmUpPods, pods));
  const before = await rested(shim);
  const { seconds, errors } = await makeAndRemove(shim, pods);
  return { shim: shim.name, pods, seconds, errors, before, after: await rested(shim) };
}

async function makeAndRemove(shim: MeasuredShim, pods: number): Promise<{ seconds: number; errors: number }> {
  const results = await cribench(
    shim.endpoint,
    [{ rpc: "PodCycle", calls: pods, callers, hostNetwork: true, maxSeconds: 3_000 }],
    { timeoutMs: 3_100_000 },
  );
  return {
    seconds: results[0]?.seconds ?? 0,
    errors: results.reduce((sum, result) => sum + result.errors, 0),
  };
}

async function rested(shim: MeasuredShim): Promise<Holdings> {
  await new Promise((resolve) => setTimeout(resolve, restMs));
  const rssBytes = await shim.service.rssBytes();
  const held = await descriptorsOf(shim.service);
  return { rssBytes, ...held, ...(shim.name === "docker-cri" ? { self: await selfReport(shim) } : {}) };
}

async function descriptorsOf({ pid }: Service): Promise<{ descriptors: number; sockets: number }> {
  const folder = `/proc/${pid}/fd`;
  const names = await readdir(folder);
  const targets = await Promise.all(
    names.map((name) => readlink(`${folder}/${name}`).catch(() => undefined)),
  );
  const open = targets.filter((target) => target !== undefined);
  return { descriptors: open.length, sockets: open.filter((target) => target.startsWith("socket:")).length };
}
