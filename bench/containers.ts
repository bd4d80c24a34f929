import { setTimeout as pause } from "node:timers/promises";
import { pino } from "pino";
import type { DockerContainerSpec, DockerService } from "../src/docker/index.js";
import { createDockerodeService } from "../src/drivers/dockerode/index.js";
import { cribench, withLab, type EngineName } from "../test/docker/lab/index.js";
import { verdict, type Mark } from "./marks.js";
import { median } from "./numbers.js";
import { alone, inTurn, startOurs, startPeer, wakeMs, type MeasuredShim } from "./shims.js";
import { ratioText, table } from "./tables.js";

const mostOfPeer = 1;
const mostOfBare = 1.05;
const image = "busybox:1.36";
const forever = ["sh", "-c", "trap exit TERM; sleep 86400 & wait"];
const graceSeconds = 5;

/** What is measured, each the sum of its calls' medians. */
const works = {
  "create + start": ["CreateContainer", "StartContainer"],
  "stop + remove": ["StopContainer", "RemoveContainer"],
  ExecSync: ["ExecSync"],
} as const;

/** The middle of the rounds, in milliseconds. */
export interface ContainerFigure {
  readonly work: keyof typeof works;
  readonly oursMs: number;
  readonly theirsMs: number;
  /** Docker's calls that the work needs, and nothing else, without a socket between. */
  readonly bareMs: number;
}

export interface ContainerBenchOptions {
  readonly engine: EngineName;
  /** The built command line. */
  readonly program: string;
  readonly rounds: number;
  /** Containers, and execs, of each turn. */
  readonly calls: number;
}

type Turn = ReadonlyMap<string, number>;

/** Measures containers and execs one by one: docker-cri, cri-dockerd and the bare calls in turn, on one dockerd. */
export async function measureContainers(options: ContainerBenchOptions): Promise<ContainerFigure[]> {
  const { engine, program, rounds, calls } = options;
  return await withLab(async (lab) => {
    const dockerd = await lab.dockerd({ name: "bench-containers", engine, liftNegativeOomScore: true });
    const theirs = await startPeer(lab, dockerd);
    const ours = await startOurs(lab, dockerd, program);
    const shims = [theirs, ours];
    const log = pino({ level: "silent" });
    const docker = createDockerodeService({ endpoint: dockerd.endpoint, requestTimeoutMs: 120_000, log });
    const turns: { theirs: Turn; ours: Turn; bare: Turn }[] = [];
    // The first round warms all of them up.
    for (let round = 0; round <= rounds; round++) {
      const turn = await inTurn(round, {
        theirs: () => alone(theirs, shims, () => takeTurn(theirs, calls)),
        ours: () => alone(ours, shims, () => takeTurn(ours, calls)),
        bare: () => alone(undefined, shims, () => bareTurn(docker, calls)),
      });
      if (round > 0) turns.push(turn);
    }
    await docker.close();
    return Object.entries(works).map(([work, rpcs]) => {
      const middle = (who: "theirs" | "ours" | "bare") =>
        median(turns.map((turn) => rpcs.reduce((sum, rpc) => sum + (turn[who].get(rpc) ?? NaN), 0)));
      return {
        work: work as ContainerFigure["work"],
        oursMs: middle("ours"),
        theirsMs: middle("theirs"),
        bareMs: middle("bare"),
      };
    });
  });
}

/** The figures as markdown: times, as parts of cri-dockerd's and of the bare calls'. */
export function containersMarkdown(figures: readonly ContainerFigure[]): string {
  const rows = figures.map((figure) => {
    const { work, oursMs, theirsMs, bareMs } = figure;
    const [ofPeer, ofBare] = marksOf(figure);
    return [
      work,
      `${oursMs.toFixed(1)} / ${theirsMs.toFixed(1)}`,
      ratioText(oursMs, theirsMs),
      verdict(ofPeer),
      bareMs.toFixed(1),
      ratioText(oursMs, bareMs),
      verdict(ofBare),
    ];
  });
  const head = ["work", "p50 ms", "ratio", "target", "bare calls, ms", "ratio", "target"];
  return `### Containers and execs, one by one: docker-cri / cri-dockerd\n\n${table(head, rows)}`;
}

/** What must hold of the figures. */
export function containersMarks(figures: readonly ContainerFigure[]): Mark[] {
  return figures.flatMap(marksOf);
}

function marksOf({ work, oursMs, theirsMs, bareMs }: ContainerFigure): Mark[] {
  return [
    { what: `${work}, of cri-dockerd's time`, value: oursMs / theirsMs, most: mostOfPeer },
    { what: `${work}, of the bare calls'`, value: oursMs / bareMs, most: mostOfBare },
  ];
}

/** @throws Error when a call failed: a figure of failures is none. */
async function takeTurn({ name, endpoint }: MeasuredShim, calls: number): Promise<Turn> {
  await pause(wakeMs);
  const results = await cribench(endpoint, [
    { rpc: "ContainerCycle", calls, hostNetwork: true },
    { rpc: "MakePods", name: "home", calls: 1, hostNetwork: true },
    { rpc: "ExecSync", calls: calls * 2, warmup: 3 },
    { rpc: "RemovePods", name: "home" },
  ]);
  for (const { rpc, errors, firstError } of results)
    if (errors > 0) throw new Error(`${name}: ${errors} ${rpc} failed: ${firstError ?? ""}`);
  return new Map(results.filter(({ step }) => step !== "home").map(({ rpc, p50Ms }) => [rpc, p50Ms]));
}

async function bareTurn(docker: DockerService, calls: number): Promise<Turn> {
  const times = new Map<string, number[]>();
  const timed = async <T>(rpc: string, work: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    const result = await work();
    times.set(rpc, [...(times.get(rpc) ?? []), performance.now() - began]);
    return result;
  };
  const { containers } = docker;
  const home = (await containers.create(homeSpec())).id;
  await containers.start(home);
  for (let index = 0; index < calls; index++) {
    const { id } = await timed("CreateContainer", () => containers.create(containerSpec(home, index)));
    await timed("StartContainer", () => containers.start(id));
    if (index === 0)
      for (let each = 0; each < calls * 2; each++) await timed("ExecSync", () => exec(docker, id));
    await timed("StopContainer", () => containers.stop(id, { graceSeconds }));
    await timed("RemoveContainer", () => containers.remove(id, { force: true }));
  }
  await containers.remove(home, { force: true });
  return new Map([...times].map(([rpc, values]) => [rpc, median(values)]));
}

/** @throws Error when the command failed. */
async function exec({ execs }: DockerService, containerId: string): Promise<void> {
  const spec = { command: ["true"], tty: false, stdin: false, stdout: true, stderr: true };
  const id = await execs.create(containerId, spec);
  const stream = await execs.start(id, { tty: false });
  stream.endInput();
  for await (const { data } of stream.output)
    if (data.length > 0) throw new Error("true has printed something");
  const { exitCode } = await execs.inspect(id);
  if (exitCode !== 0) throw new Error(`true ended with ${exitCode ?? "no code"}`);
}

function homeSpec(): DockerContainerSpec {
  return {
    name: `bare-${process.pid}-home`,
    config: { image, entrypoint: forever, healthcheckDisabled: true },
    host: { networkMode: "host", ipcMode: "shareable", restartPolicy: "no" },
  };
}

/** As the shims make a container of the same request. */
function containerSpec(home: string, index: number): DockerContainerSpec {
  return {
    name: `bare-${process.pid}-${index}`,
    config: { image, entrypoint: forever, labels: { bench: "bare" }, healthcheckDisabled: true },
    host: {
      networkMode: `container:${home}`,
      ipcMode: `container:${home}`,
      utsMode: "host",
      securityOpt: ["seccomp=unconfined"],
      restartPolicy: "no",
    },
  };
}
