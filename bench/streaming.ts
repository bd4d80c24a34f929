import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable, type Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import { say, timed, withLab, type EngineName } from "../test/docker/lab/index.js";
import { median } from "./numbers.js";
import { alone, inTurn, wakeMs } from "./shims.js";
import { runtimeNames, startRuntimes, type RuntimeName } from "./runtimes.js";
import { makePayload, md5Of, podPorts, StreamingPod, type Payload } from "./streaming-pod.js";

const pieceBytes = 64 * 1024;
const warmUps = 30;
const firstBytes = 15;
const burst = 200;
const stalledMs = 3_000;

/** What is moved, in the order of the table. */
export const transferNames = [
  "exec, in",
  "exec, out",
  "attach, in",
  "attach, out",
  "port-forward, in",
  "port-forward, out",
] as const;
export type TransferName = (typeof transferNames)[number];

/** Seconds for a gigabyte; infinite where the bytes did not arrive as they were sent. */
export interface TransferFigure {
  readonly seconds: number;
  /** Of the runtime's own process. */
  readonly cpuSeconds: number;
}

/** The middle of the rounds, of one runtime. */
export interface StreamingFigures {
  readonly transfers: Readonly<Record<TransferName, TransferFigure>>;
  /** From the RPC to the first byte of an exec. */
  readonly execFirstByteMs: number;
  /** From the RPC to the first byte of a port. */
  readonly forwardFirstByteMs: number;
  /** From opening a further connection in a session that lives. */
  readonly connectionFirstByteMs: number;
  readonly burstSeconds: number;
  readonly burstFailures: number;
  /** By how much the memory of the runtime grew while a peer read nothing: of the command's output, of its input. */
  readonly stalledOutputBytes: number;
  readonly stalledInputBytes: number;
}

export interface StreamingBenchOptions {
  readonly engine: EngineName;
  /** The built command line. */
  readonly program: string;
  readonly rounds: number;
  /** What each transfer moves. */
  readonly megabytes: number;
}

type Turn = Readonly<Record<RuntimeName, StreamingFigures>>;
type Turns = Readonly<Record<RuntimeName, () => Promise<StreamingFigures>>>;
type Process = Awaited<ReturnType<StreamingPod["exec"]>>;

/** Measures exec, attach and port-forward of docker-cri, cri-dockerd and containerd in turn. */
export async function measureStreaming(options: StreamingBenchOptions): Promise<Turn> {
  const payload = makePayload(options.megabytes);
  return await withLab(async (lab) => {
    const dockerd = await lab.dockerd({
      name: "bench-streaming",
      engine: options.engine,
      liftNegativeOomScore: true,
    });
    const peers = Object.values(await startRuntimes(lab, dockerd, options.program));
    const rounds: Turn[] = [];
    const turns: Partial<Record<RuntimeName, () => Promise<StreamingFigures>>> = {};
    for (const peer of peers) {
      const pod = await StreamingPod.open(lab, peer, join(dockerd.folder, `data-${peer.name}`), payload);
      turns[peer.name] = () =>
        alone(peer, peers, () => timed(`${peer.name} streams`, () => takeTurn(pod, payload)));
    }
    for (let round = 0; round < options.rounds; round++) rounds.push(await inTurn(round, turns as Turns));
    return middleOf(rounds);
  });
}

function middleOf(rounds: readonly Turn[]): Turn {
  const middle = (name: RuntimeName): StreamingFigures => {
    const of = (figure: (figures: StreamingFigures) => number) =>
      median(rounds.map((turn) => figure(turn[name])));
    const transfers = transferNames.map((transfer) => [
      transfer,
      {
        seconds: of((f) => f.transfers[transfer].seconds),
        cpuSeconds: of((f) => f.transfers[transfer].cpuSeconds),
      },
    ]);
    return {
      transfers: Object.fromEntries(transfers) as Record<TransferName, TransferFigure>,
      execFirstByteMs: of((f) => f.execFirstByteMs),
      forwardFirstByteMs: of((f) => f.forwardFirstByteMs),
      connectionFirstByteMs: of((f) => f.connectionFirstByteMs),
      burstSeconds: of((f) => f.burstSeconds),
      burstFailures: of((f) => f.burstFailures),
      stalledOutputBytes: of((f) => f.stalledOutputBytes),
      stalledInputBytes: of((f) => f.stalledInputBytes),
    };
  };
  return Object.fromEntries(runtimeNames.map((name) => [name, middle(name)])) as Turn;
}

async function takeTurn(pod: StreamingPod, payload: Payload): Promise<StreamingFigures> {
  await pause(wakeMs);
  // A peer that fails leaves its figure out, and the others are measured all the same.
  const figureOf = async (what: string, measure: () => Promise<number>): Promise<number> => {
    try {
      return await measure();
    } catch (error) {
      if (pod.peer.name === "docker-cri") throw error;
      say(`${pod.peer.name}, ${what}: ${String(error)}`);
      return NaN;
    }
  };
  const execFirstByteMs = await figureOf("exec", () => middleTime(() => execFirstByte(pod)));
  const forwardFirstByteMs = await figureOf("port-forward", () => middleTime(() => forwardFirstByte(pod)));
  const connectionFirstByteMs = await figureOf("connections", () => connectionFirstByte(pod));
  const moved: Partial<Record<TransferName, TransferFigure>> = {};
  for (const name of transferNames) {
    const { service } = pod.peer;
    const cpuBefore = service.cpuSeconds();
    const { seconds, arrived } = await transfers[name](pod, payload).catch((error: unknown) => {
      say(`${pod.peer.name}, ${name}: ${String(error)}`);
      return { seconds: 0, arrived: "" };
    });
    const gigabytes = arrived === payload.md5 ? payload.bytes.length / 1e9 : 0;
    moved[name] = {
      seconds: gigabytes === 0 ? Infinity : seconds / gigabytes,
      cpuSeconds: (service.cpuSeconds() - cpuBefore) / gigabytes,
    };
  }
  return {
    execFirstByteMs,
    forwardFirstByteMs,
    connectionFirstByteMs,
    transfers: moved as Record<TransferName, TransferFigure>,
    ...(await execsAtOnce(pod)),
    stalledOutputBytes: await figureOf("unread output", () =>
      growth(pod, () => pod.exec(["cat", "/dev/zero"])),
    ),
    stalledInputBytes: await figureOf("unread input", () =>
      growth(pod, async () => {
        const remote = await pod.exec(["sleep", "86400"], true);
        void pour(remote.stdin, payload.bytes);
        return remote;
      }),
    ),
  };
}

interface Transfer {
  readonly seconds: number;
  /** The digest of what arrived. */
  readonly arrived: string;
}

/** Each moves the payload once. What happens before the first and after the last byte is not part of its time. */
const transfers: Record<TransferName, (pod: StreamingPod, payload: Payload) => Promise<Transfer>> = {
  "exec, in": async (pod, payload) => {
    const remote = await pod.exec(["sh", "-c", "cat > /data/taken"], true);
    return await pourInto(pod, remote, payload);
  },
  "exec, out": async (pod, payload) =>
    await timedRead(payload, async () => (await pod.exec(["cat", "/data/payload"])).stdout),
  "attach, in": async (pod, payload) => {
    const id = await pod.start(["sh", "-c", "cat > /data/taken"], { stdin: true, stdinOnce: true });
    const result = await pourInto(pod, await pod.attach(id), payload);
    await pod.remove(id);
    return result;
  },
  "attach, out": async (pod, payload) => {
    const id = await pod.start(["sh", "-c", "read go; cat /data/payload"], { stdin: true, stdinOnce: true });
    const remote = await pod.attach(id);
    const result = await timedRead(payload, () => {
      remote.stdin.end("\n");
      return Promise.resolve(remote.stdout);
    });
    await pod.remove(id);
    return result;
  },
  // socat gives up half a second after a client has ended its half, so that none does before it has all.
  "port-forward, in": async (pod, payload) => {
    using ports = await pod.forward();
    const connection = ports.connect(podPorts.sink);
    const begun = performance.now();
    const taken = once(connection, "data");
    for (const piece of pieces(payload.bytes)) if (!connection.write(piece)) await once(connection, "drain");
    await taken;
    const seconds = secondsSince(begun);
    return { seconds, arrived: await text(ports.connect(podPorts.digest)) };
  },
  "port-forward, out": async (pod, payload) => {
    using ports = await pod.forward();
    return await timedRead(payload, () => Promise.resolve(ports.connect(podPorts.source)));
  },
};

async function pourInto(pod: StreamingPod, remote: Process, payload: Payload): Promise<Transfer> {
  remote.stdout.resume();
  const begun = performance.now();
  await pour(remote.stdin, payload.bytes);
  await remote.exitCode.catch(() => undefined);
  const seconds = secondsSince(begun);
  const taken = join(pod.folder, "taken");
  const arrived = md5Of(await readFile(taken));
  // Otherwise the kernel writes it to disk while the next transfer is measured.
  await rm(taken, { force: true });
  return { seconds, arrived };
}

/** Writes all and ends it. A peer that closes early leaves the rest, which the digest shows. */
async function pour(into: Writable, bytes: Buffer): Promise<void> {
  await pipeline(Readable.from(pieces(bytes)), into).catch(() => undefined);
}

function pieces(bytes: Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, index) =>
    bytes.subarray(index * pieceBytes, (index + 1) * pieceBytes),
  );
}

async function timedRead(payload: Payload, open: () => Promise<Readable>): Promise<Transfer> {
  const into = Buffer.alloc(payload.bytes.length);
  const begun = performance.now();
  let at = 0;
  for await (const chunk of (await open()) as AsyncIterable<Buffer>) at += chunk.copy(into, at);
  const seconds = secondsSince(begun);
  return { seconds, arrived: md5Of(into.subarray(0, at)) };
}

async function middleTime(time: () => Promise<number>): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < warmUps; index++) await time();
  for (let index = 0; index < firstBytes; index++) times.push(await time());
  return median(times);
}

async function execFirstByte(pod: StreamingPod): Promise<number> {
  const begun = performance.now();
  const remote = await pod.exec(["echo", "x"]);
  await once(remote.stdout, "data");
  const took = performance.now() - begun;
  await remote.exitCode;
  return took;
}

async function forwardFirstByte(pod: StreamingPod): Promise<number> {
  const begun = performance.now();
  using ports = await pod.forward();
  await once(ports.connect(podPorts.greet), "data");
  return performance.now() - begun;
}

async function connectionFirstByte(pod: StreamingPod): Promise<number> {
  using ports = await pod.forward();
  return await middleTime(async () => {
    const begun = performance.now();
    await once(ports.connect(podPorts.greet), "data");
    return performance.now() - begun;
  });
}

async function execsAtOnce(pod: StreamingPod): Promise<{ burstSeconds: number; burstFailures: number }> {
  const begun = performance.now();
  const outputs = await Promise.allSettled(
    Array.from({ length: burst }, async (_, index) => {
      const remote = await pod.exec(["echo", String(index)]);
      const output = await text(remote.stdout);
      if (output !== `${index}\n` || (await remote.exitCode) !== 0) throw new Error(`it said ${output}`);
    }),
  );
  return {
    burstSeconds: secondsSince(begun),
    burstFailures: outputs.filter(({ status }) => status === "rejected").length,
  };
}

/** By how much the runtime's memory grew at most while a session stood still. */
async function growth(pod: StreamingPod, open: () => Promise<Process>): Promise<number> {
  const { service } = pod.peer;
  const before = await service.rssBytes();
  const remote = await open();
  let most = before;
  const end = performance.now() + stalledMs;
  while (performance.now() < end) {
    await pause(100);
    most = Math.max(most, await service.rssBytes());
  }
  await remote.close();
  return most - before;
}

function secondsSince(begun: number): number {
  return (performance.now() - begun) / 1000;
}
