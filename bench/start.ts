import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeExecutable } from "../scripts/package/executable.js";
import { architectures } from "../scripts/package/inputs.js";
import { createClients } from "../src/client/index.js";
import { accepts, criDockerdProgram, residentBytes, run, timed, withLab } from "../test/docker/lab/index.js";
import { median } from "./numbers.js";
import type { BenchOptions } from "./options.js";
import { makePods } from "./reads.js";

/** What one program costs from nothing. */
export interface StartFigures {
  readonly name: string;
  /** From the start of the process to the first answered Version. */
  readonly firstVersionMs: number;
  /** At rest, after lists have been read. */
  readonly rssBytes: number;
  /** Of that, memory of its own; the rest is files, which processes share and the kernel may drop. */
  readonly anonymousBytes: number;
  /** The whole of `docker-cri demo`. */
  readonly demoMs?: number;
}

export const podsAtRest = 60;

const runs = 5;
const patienceMs = 60_000;
const lists = 300;
const restMs = 3_000;

interface Candidate {
  readonly name: string;
  readonly command: readonly string[];
  readonly demo: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly args: (folder: string, socket: string) => readonly string[];
}

/** Over the memory engine, or with `--peer` on a dockerd with 60 pods, side by side with cri-dockerd. */
export async function measureStart(options: BenchOptions): Promise<StartFigures[]> {
  const folder = await mkdtemp(join(tmpdir(), "docker-cri-bench-"));
  try {
    const executable = await timed("making the executable", () => installExecutable(folder));
    if (!options.peer) return await measureAll(ours(options, executable, ["--engine=memory"]));
    return await withLab(async (lab) => {
      const dockerd = await lab.dockerd({
        name: "bench",
        engine: options.engine,
        liftNegativeOomScore: true,
      });
      const peer = await lab.criDockerd({ dockerEndpoint: dockerd.endpoint });
      await timed(`making ${podsAtRest} pods`, () => makePods({ name: "cri-dockerd", ...peer }, podsAtRest));
      await peer.service.stop();
      const docker = [`--docker-endpoint=${dockerd.endpoint}`];
      const flags = [...docker, "--network-plugin=none", "--restrict-oom-score-adj"];
      return await measureAll([
        ...ours(options, executable, flags),
        await criDockerd([...docker, "--network-plugin=", "--streaming-bind-addr=127.0.0.1:0"]),
      ]);
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Unpacks it from an archive, as an installation does: how a file was written decides how much of it is mapped at once. */
async function installExecutable(folder: string): Promise<string> {
  const architecture = architectures.find(({ node }) => node === process.arch);
  if (!architecture) throw new Error(`there is no executable for ${process.arch}`);
  await makeExecutable(join(folder, "built"), architecture);
  await run("sh", ["-c", "mkdir installed && tar -C built -c . | tar -C installed -x"], { cwd: folder });
  return join(folder, "installed", "docker-cri");
}

function ours({ program }: BenchOptions, executable: string, flags: readonly string[]): Candidate[] {
  const args = (folder: string, socket: string) => [
    ...["serve", `--container-runtime-endpoint=unix://${socket}`, `--root-directory=${folder}/root`],
    ...flags,
  ];
  const modules = join(import.meta.dirname, "..", "dist", "cli", "main.js");
  return [
    { name: "modules", command: [process.execPath, modules], demo: true, args },
    { name: "npm package's bundle", command: [process.execPath, program], demo: true, args },
    { name: "executable", command: [executable], demo: true, args },
    {
      name: "executable in its unit",
      command: [executable],
      demo: true,
      env: { MALLOC_ARENA_MAX: "1" },
      args,
    },
  ];
}

async function criDockerd(flags: readonly string[]): Promise<Candidate> {
  const args = (folder: string, socket: string) => [
    ...[`--container-runtime-endpoint=unix://${socket}`, `--cri-dockerd-root-directory=${folder}/root`],
    ...[`--cni-conf-dir=${folder}`, `--cni-cache-dir=${folder}/cni`, ...flags],
  ];
  return { name: "cri-dockerd", command: [await criDockerdProgram()], demo: false, args };
}

/** Each in turn, and all as often as there are runs; the first turn only warms the disk's cache. */
async function measureAll(candidates: readonly Candidate[]): Promise<StartFigures[]> {
  const measured = new Map(candidates.map((candidate) => [candidate, [] as Omit<StartFigures, "name">[]]));
  for (let turn = 0; turn <= runs; turn++)
    for (const candidate of candidates) {
      const figures = await startOnce(candidate);
      if (turn > 0) measured.get(candidate)?.push(figures);
    }
  return [...measured].map(([{ name, demo }, turns]) => ({
    name,
    firstVersionMs: median(turns.map(({ firstVersionMs }) => firstVersionMs)),
    rssBytes: median(turns.map(({ rssBytes }) => rssBytes)),
    anonymousBytes: median(turns.map(({ anonymousBytes }) => anonymousBytes)),
    ...(demo ? { demoMs: median(turns.map(({ demoMs = NaN }) => demoMs)) } : {}),
  }));
}

async function startOnce(candidate: Candidate): Promise<Omit<StartFigures, "name">> {
  const folder = await mkdtemp(join(tmpdir(), "docker-cri-bench-"));
  const socket = join(folder, "cri.sock");
  const [file = "", ...own] = candidate.command;
  const began = performance.now();
  const child = spawn(file, [...own, ...candidate.args(folder, socket)], {
    stdio: "ignore",
    // As few variables as systemd sets: with NODE_EXTRA_CA_CERTS, Node reads certificates while it starts.
    env: { PATH: process.env["PATH"], ...candidate.env },
  });
  const ended = once(child, "exit");
  try {
    await untilAccepts(socket, child, candidate.name);
    using clients = createClients({ endpoint: `unix://${socket}` });
    await clients.runtime.version({});
    const firstVersionMs = performance.now() - began;
    for (let list = 0; list < lists; list++) await clients.runtime.listPodSandbox({});
    await new Promise((resolve) => setTimeout(resolve, restMs));
    const pid = child.pid ?? 0;
    const figures = { firstVersionMs, ...(await memoryOf(pid)) };
    return candidate.demo ? { ...figures, demoMs: await demoOnce(candidate) } : figures;
  } finally {
    child.kill("SIGTERM");
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}

async function memoryOf(pid: number): Promise<{ rssBytes: number; anonymousBytes: number }> {
  const { stdout } = await run("grep", ["RssAnon", `/proc/${pid}/status`]);
  return {
    rssBytes: await residentBytes(pid),
    anonymousBytes: Number(/\d+/.exec(stdout)?.[0] ?? 0) * 1024,
  };
}

async function demoOnce({ command: [file = "", ...own], env = {} }: Candidate): Promise<number> {
  const began = performance.now();
  await run(file, [...own, "demo"], { env: { NODE_OPTIONS: "", ...env } });
  return performance.now() - began;
}

async function untilAccepts(socket: string, child: ChildProcess, name: string): Promise<void> {
  const end = Date.now() + patienceMs;
  while (!(await accepts(socket))) {
    if (child.exitCode !== null) throw new Error(`${name} ended before it served`);
    if (Date.now() > end) throw new Error(`${name} did not serve within ${patienceMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
