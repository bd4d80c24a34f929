import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import { parseConfig, type ShimConfig } from "../src/config/index.js";
import { createDockerodeService } from "../src/drivers/dockerode/index.js";
import { NodeHost } from "../src/drivers/node/index.js";
import { NamespaceMode, PodSandboxConfigSchema } from "../src/gen/runtime/v1/api_pb.js";
import { createShim } from "../src/index.js";
import { Inventory } from "../src/inventory/index.js";
import { ConfigFolder } from "../src/network/cni/config-folder.js";
import { ListRunner } from "../src/network/cni/list-runner.js";
import { PluginRunner } from "../src/network/cni/plugin-runner.js";
import { sandboxSpec } from "../src/translate/index.js";
import {
  accepts,
  cribench,
  withLab,
  type Dockerd,
  type EngineName,
  type Lab,
} from "../test/docker/lab/index.js";
import { openPodNode, realPlugins, type PodNode } from "../test/docker/pods-node.js";
import { median } from "./numbers.js";
import { alone, inTurn, wakeMs, type MeasuredShim } from "./shims.js";

const podRpcs = ["RunPodSandbox", "StopPodSandbox"];

/** One RPC: the middle of the rounds' medians, in milliseconds. */
export interface PodFigure {
  readonly network: "cni" | "none";
  readonly rpc: string;
  readonly oursMs: number;
  readonly theirsMs: number;
  /** The calls to Docker and the plugins that the work needs, and nothing else. */
  readonly bareMs: number;
}

export interface PodBenchOptions {
  readonly engine: EngineName;
  /** The built command line. */
  readonly program: string;
  readonly rounds: number;
  /** Pods of each turn. */
  readonly calls: number;
}

type Turn = ReadonlyMap<string, number>;

/** Measures how long pods take to make and end: docker-cri, cri-dockerd and the bare calls in turn. */
export async function measurePods(options: PodBenchOptions): Promise<PodFigure[]> {
  return await withLab(async (lab) => {
    const { engine } = options;
    const dockerd = await lab.dockerd({ name: "podbench", engine, liftNegativeOomScore: true });
    const node = await openPodNode(lab, dockerd, "podbench", 63);
    const figures: PodFigure[] = [];
    for (const network of ["cni", "none"] as const) {
      figures.push(...(await measureNetwork(lab, node, network, options)));
    }
    return figures;
  });
}

async function measureNetwork(
  lab: Lab,
  node: PodNode,
  network: PodFigure["network"],
  { program, rounds, calls }: PodBenchOptions,
): Promise<PodFigure[]> {
  const ours = await startOurs(lab, node, network, program);
  const theirs = await startTheirs(lab, node, network);
  const shims = [theirs, ours];
  const turns: { theirs: Turn; ours: Turn; bare: Turn }[] = [];
  // The first round warms all of them up.
  for (let round = 0; round <= rounds; round++) {
    const turn = await inTurn(round, {
      theirs: () => alone(theirs, shims, () => takeTurn(theirs, calls)),
      ours: () => alone(ours, shims, () => takeTurn(ours, calls)),
      bare: () => bareTurn(node, network, calls, shims),
    });
    if (round > 0) turns.push(turn);
  }
  for (const { service } of shims) await service.shutDown();
  return podRpcs.map((rpc) => {
    const middle = (who: "theirs" | "ours" | "bare") =>
      median(turns.map((turn) => turn[who].get(rpc) ?? NaN));
    return { network, rpc, oursMs: middle("ours"), theirsMs: middle("theirs"), bareMs: middle("bare") };
  });
}

/** @throws Error when a call failed: a figure of failures is none. */
async function takeTurn({ name, endpoint }: MeasuredShim, calls: number): Promise<Turn> {
  await pause(wakeMs);
  const results = await cribench(endpoint, [
    { rpc: "MakePods", calls, containersPerPod: 0 },
    { rpc: "RemovePods" },
  ]);
  for (const { rpc, errors, firstError } of results)
    if (errors > 0) throw new Error(`${name}: ${errors} ${rpc} failed: ${firstError ?? ""}`);
  return new Map(results.map(({ rpc, p50Ms }) => [rpc, p50Ms]));
}

/**
 * The same pods by nothing but the calls that they need, one after the other: create, start, the process id, ADD of
 * each plugin; DEL of each plugin, stop. As with the shims all are made before the first is ended. Nothing is kept
 * for a crash, and nobody is asked over a socket.
 */
async function bareTurn(
  { dockerd, root, cniConf }: PodNode,
  plugin: PodFigure["network"],
  calls: number,
  shims: readonly MeasuredShim[],
): Promise<Turn> {
  const engine = { kind: "docker", endpoint: dockerd.endpoint } as const;
  const input = {
    engine,
    rootDirectory: `${root}-bare`,
    network: { plugin },
  };
  const config = parseConfig(input, "bench");
  const log = pino({ level: "silent" });
  const environment = await environmentOf(dockerd, config.network);
  const docker = createDockerodeService({ endpoint: dockerd.endpoint, requestTimeoutMs: 120_000, log });
  const network = plugin === "cni" ? await barePlugins(cniConf) : undefined;
  const times = { run: [] as number[], stop: [] as number[] };
  const made: { readonly id: string; readonly leave: (() => Promise<void>) | undefined }[] = [];
  const make = async (index: number) => {
    const name = `bare-${process.pid}-${index}`;
    const pod = { name, namespace: "bench", uid: name };
    const message = create(PodSandboxConfigSchema, {
      metadata: pod,
      hostname: name,
      linux: { securityContext: { namespaceOptions: { pid: NamespaceMode.CONTAINER } } },
    });
    const spec = sandboxSpec(message, "", config.sandboxImage, environment);
    const began = performance.now();
    const { id } = await docker.containers.create(spec);
    await docker.containers.start(id);
    const { state } = await docker.containers.inspect(id);
    const netns = `/proc/${state.pid ?? 0}/ns/net`;
    const leave = await network?.join(id, netns);
    times.run.push(performance.now() - began);
    made.push({ id, leave });
  };
  const end = async ({ id, leave }: (typeof made)[number]) => {
    const began = performance.now();
    await leave?.();
    await docker.containers.stop(id, { graceSeconds: 10 });
    times.stop.push(performance.now() - began);
    await docker.containers.remove(id, { force: true });
  };
  try {
    await alone(undefined, shims, async () => {
      for (let index = 0; index < calls; index++) await make(index);
      for (const pod of made) await end(pod);
    });
  } finally {
    await docker.close();
  }
  return new Map([
    ["RunPodSandbox", median(times.run)],
    ["StopPodSandbox", median(times.stop)],
  ]);
}

/** The plugins of the node's network and loopback's, and nothing else of a network room. */
async function barePlugins(confDir: string) {
  const host = new NodeHost();
  const plugins = new PluginRunner(host, [realPlugins], 120_000);
  const lists = new ListRunner(plugins);
  const look = await new ConfigFolder(host.files, confDir, plugins).look(new AbortController().signal);
  const { network, loopback } = look;
  if (!network || !loopback) throw new Error(look.problems.join("; "));
  return {
    /** Connects a pod. @returns What disconnects it. */
    async join(containerId: string, netns: string): Promise<() => Promise<void>> {
      const args = [["IgnoreUnknown", "1"]] as const;
      const main = { containerId, netns, ifName: "eth0", args, capabilityArgs: { portMappings: [] } };
      const lo = { ...main, ifName: "lo", capabilityArgs: {} };
      await lists.add(loopback, lo);
      const result = await lists.add(network, main);
      return async () => {
        await lists.delete(network, main, result);
        await lists.delete(loopback, lo, undefined);
      };
    },
  };
}

async function environmentOf(dockerd: Dockerd, network: ShimConfig["network"]) {
  await using shim = await createShim({
    engine: { kind: "docker", endpoint: dockerd.endpoint },
    network,
    rootDirectory: join(dockerd.folder, "environment"),
    logLevel: "silent",
  });
  await shim.start();
  return shim.resolve(Inventory).environment();
}

async function startOurs(
  lab: Lab,
  { dockerd, root, cniConf, cniCache }: PodNode,
  network: PodFigure["network"],
  program: string,
): Promise<MeasuredShim> {
  const socketIn = (folder: string) => join(folder, "cri.sock");
  const service = await lab.service({
    name: "docker-cri",
    command: process.execPath,
    args: (folder) => [
      program,
      "serve",
      `--container-runtime-endpoint=unix://${socketIn(folder)}`,
      `--docker-endpoint=${dockerd.endpoint}`,
      `--root-directory=${root}-ours-${network}`,
      `--network-plugin=${network}`,
      `--cni-conf-dir=${cniConf}`,
      `--cni-bin-dir=${realPlugins}`,
      `--cni-cache-dir=${cniCache}-ours`,
      "--restrict-oom-score-adj",
    ],
    ready: (folder) => accepts(socketIn(folder)),
  });
  return { name: "docker-cri", service, endpoint: `unix://${socketIn(service.folder)}` };
}

async function startTheirs(
  lab: Lab,
  { dockerd, cniConf, cniCache }: PodNode,
  network: PodFigure["network"],
): Promise<MeasuredShim> {
  const { service, endpoint } = await lab.criDockerd({
    dockerEndpoint: dockerd.endpoint,
    networkPlugin: network === "cni" ? "cni" : "",
    cniConfFolder: cniConf,
    cniBinFolder: realPlugins,
    cniCacheFolder: `${cniCache}-theirs`,
  });
  return { name: "cri-dockerd", service, endpoint };
}
