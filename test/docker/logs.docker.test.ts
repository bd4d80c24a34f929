import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createHash } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { pino } from "pino";
import type { LogFrame } from "../../src/docker/index.js";
import { createDockerodeService } from "../../src/drivers/dockerode/index.js";
import { BufferPool, LineBuffer } from "../../src/logs/pump/line-buffer.js";
import { moduleProgram, openLab, run, type Dockerd, type EngineName } from "./lab/index.js";
import { CountingContainer } from "./logs-counting.js";
import { KilledPump, numbersIn, pause, tailOf } from "./logs-killed-pump.js";
import { until } from "./streams.js";

const lab = openLab();
after(() => lab.close());

/** The same for each run, so that what fails fails again. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x80000000;
  };
}

async function* entriesOf(batches: AsyncIterable<readonly LogFrame[]>): AsyncGenerator<LogFrame> {
  for await (const batch of batches) yield* batch;
}

interface Comparison {
  readonly entries: number;
  /** Entries of Docker's log that are not in the files, or not in this place. */
  readonly missing: string[];
  /** Entries of the files that are not in Docker's log. */
  readonly extra: string[];
}

/** Compares the files, one after the other, with all that Docker tells when it is asked once more. */
async function compareWithDocker(
  dockerd: Dockerd,
  id: string,
  files: readonly string[],
): Promise<Comparison> {
  const log = pino({ level: "silent" });
  const docker = createDockerodeService({ endpoint: dockerd.endpoint, requestTimeoutMs: 60_000, log });
  const result = { entries: 0, missing: [] as string[], extra: [] as string[] };
  const ours = rawLines(files);
  const buffer = new LineBuffer(new BufferPool());
  let mine = await ours.next();
  for await (const frame of entriesOf(docker.containers.logs(id))) {
    buffer.add(frame);
    const theirs = buffer.lines().toString("latin1").slice(0, -1);
    buffer.clear();
    result.entries++;
    while (!mine.done && mine.value !== theirs && result.extra.length < 20) {
      result.extra.push(mine.value.slice(0, 90));
      mine = await ours.next();
    }
    if (mine.done) {
      result.missing.push(theirs.slice(0, 90));
      if (result.missing.length >= 20) break;
    } else mine = await ours.next();
  }
  if (!mine.done) result.extra.push(mine.value.slice(0, 90));
  await docker.close();
  return result;
}

async function* rawLines(files: readonly string[]): AsyncGenerator<string, undefined> {
  for (const file of files) {
    let rest = "";
    for await (const chunk of createReadStream(file, { encoding: "latin1", highWaterMark: 1024 * 1024 })) {
      const lines = (rest + String(chunk)).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
    if (rest !== "") yield `torn: ${rest}`;
  }
  return undefined;
}

/** The disk of the log files, so small that it can be filled up. */
class SmallDisk {
  private constructor(private readonly filler: string) {}

  static async mount(folder: string): Promise<SmallDisk> {
    await mkdir(folder, { recursive: true });
    await run("mount", ["-t", "tmpfs", "-o", "size=400m", "tmpfs", folder]);
    return new SmallDisk(join(folder, "filler"));
  }

  async fill(): Promise<void> {
    await run("sh", ["-c", `head -c 400M /dev/zero > ${this.filler}`], { allowFailure: true });
  }

  async free(): Promise<void> {
    await rm(this.filler, { force: true });
  }
}

interface Case {
  readonly engine: EngineName;
  /** Docker's log driver: the one that the shim gives its containers on this engine. */
  readonly driver: "json-file" | "local";
  readonly lines: number;
  readonly kills: number;
  /** By round: what happens beside the pump's death. */
  readonly fates: Readonly<Record<number, Fate>>;
}

/** To dockerd, to both at once, or to the disk of the log files. */
type Fate = "kill" | "kill both" | "restart" | "full disk";

/** What dockerd has read of each stream and not written when it dies, it loses: up to 16 KiB. */
const mostLostLines = 1_000;

const cases: readonly Case[] = [
  {
    engine: "20.10",
    driver: "json-file",
    lines: 1_000_000,
    kills: 22,
    fates: {
      3: "full disk",
      5: "kill",
      8: "full disk",
      9: "restart",
      13: "kill both",
      16: "full disk",
      18: "kill",
      20: "kill both",
    },
  },
  {
    engine: "26.1",
    driver: "local",
    lines: 200_000,
    kills: 8,
    fates: { 2: "kill", 3: "full disk", 4: "restart", 6: "kill both", 7: "full disk" },
  },
];

for (const { engine, driver, lines, kills, fates } of cases) {
  describe(`logs of ${lines} lines on Docker ${engine}, driver ${driver}`, () => {
    it(`are complete after ${kills} crashes, whatever crashes`, async () => {
      const dockerd = await lab.dockerd({ engine, name: "logs", liveRestore: true });
      const container = await CountingContainer.start(lab, dockerd, { lines, driver });
      const pump = new KilledPump(dockerd, container.id);
      const disk = await SmallDisk.mount(join(dockerd.folder, "pods"));
      const random = randomNumbers(7);
      const perRound = Math.floor((container.bursts - 1) / kills);
      for (let round = 1; round <= kills; round++) {
        pump.start();
        // Now and then it dies before it has come to anything.
        if (random() < 0.9) await pump.says("ready");
        for (let n = 0; n < perRound; n++) {
          await container.say(1);
          await pause(random() * 60);
        }
        await pause(random() * 300);
        if (round % 6 === 1 && pump.said.includes("ready")) await pump.rotate();
        const what = fates[round];
        if (what === "full disk") {
          await disk.fill();
          await container.say(1);
          await pause(random() * 1_000);
          // The pump dies before there is room again, or after.
          if (random() < 0.5) await disk.free();
        }
        if (what === "kill" || what === "kill both") {
          await Promise.all([dockerd.kill(), what === "kill both" ? pump.kill() : undefined]);
          await dockerd.start();
        }
        if (what === "restart") await dockerd.restart({ keepContainers: true });
        if (what) await pause(random() * 500);
        await pump.kill();
        await disk.free();
        if (round % 6 === 4) await pump.rotate();
      }
      await container.say(container.burstsLeft);
      pump.start();
      await pump.says("complete", 120_000);
      assert.ok(pump.files().length >= 2, "the log was rotated meanwhile");
      const { missing, extra } = await compareWithDocker(dockerd, container.id, pump.files());
      assert.deepEqual({ missing, extra }, { missing: [], extra: [] });
      const { count, backwards, strange, ended } = await numbersIn(pump.files());
      assert.deepEqual({ backwards, ended }, { backwards: 0, ended: true });
      // What dockerd had in hand when it died, it has lost itself, and may have torn the next line of each stream.
      const lost = lines - count;
      if (lost > 0) console.log(`Docker ${engine} has lost ${lost} of ${lines} lines when it died`);
      const deaths = Object.values(fates).filter((what) => what !== "full disk").length;
      assert.ok(strange.length <= 2 * deaths, strange.join("\n"));
      assert.ok(lost <= 2 * deaths * mostLostLines, `${lost} lines are lost`);
    });
  });
}

/** What each stream has said, as kubelet's own code reads it out of the file. */
class KubeletReader {
  readonly stdout: string;
  readonly stderr: string;
  private readonly child: ChildProcess;
  private errors = "";

  constructor(program: string, folder: string, path: string, ...more: string[]) {
    this.stdout = join(folder, "kubelet-stdout");
    this.stderr = join(folder, "kubelet-stderr");
    const args = ["-path", path, "-stdout", this.stdout, "-stderr", this.stderr, ...more];
    this.child = spawn(program, args, { stdio: ["pipe", "ignore", "pipe"] });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.errors += text));
  }

  /** The greatest number of a line that it has printed. */
  newestNumber(): number {
    const numbers = [this.stdout, this.stderr].map((path) =>
      Number([...tailOf(path).matchAll(/^(\d+):x*:\1$/gm)].at(-1)?.[1] ?? 0),
    );
    return Math.max(...numbers);
  }

  /** Says that the container has ended, and waits for what is left. */
  async end(): Promise<void> {
    const exit = once(this.child, "exit");
    this.child.stdin?.end();
    assert.deepEqual(await exit, [0, null], this.errors);
  }
}

async function saidToDocker(dockerd: Dockerd, id: string, stream: "stdout" | "stderr"): Promise<string> {
  const log = pino({ level: "silent" });
  const docker = createDockerodeService({ endpoint: dockerd.endpoint, requestTimeoutMs: 60_000, log });
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const frame of entriesOf(docker.containers.logs(id))) {
    if (frame.stream !== stream) continue;
    hash.update(frame.data);
    bytes += frame.data.length;
  }
  await docker.close();
  return `${bytes} bytes, ${hash.digest("hex")}`;
}

async function contentOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(file)) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
  }
  return `${bytes} bytes, ${hash.digest("hex")}`;
}

describe("kubelet's own reader of logs", () => {
  it("prints exactly the container's output: followed, rotated and from the whole file", async () => {
    const dockerd = await lab.dockerd({ name: "logs" });
    const program = await moduleProgram("logreader");
    const container = await CountingContainer.start(lab, dockerd, { lines: 60_000 });
    const pump = new KilledPump(dockerd, container.id);
    pump.start();
    await pump.says("ready");
    await container.say(1);
    while (pump.sizeBytes() < 100_000) await pause(10);
    const following = new KubeletReader(program, await folderFor("followed"), pump.path, "-follow");
    let rotatedAt = 0;
    for (let n = 0; container.burstsLeft > 0; n++) {
      await container.say(1);
      await pause(100);
      if (n % 5 !== 3) continue;
      // Of two rotations in short order kubelet's reader sees the second alone: it must have come to this file.
      const wanted = rotatedAt;
      await until(() => Promise.resolve(following.newestNumber() > wanted));
      await pump.rotate();
      rotatedAt = container.saidLines;
    }
    await pump.says("complete", 60_000);
    // Nor does it look for another file of a container that has ended.
    await until(() => Promise.resolve(tailOf(following.stdout).endsWith("the end has no newline")));
    await following.end();
    for (const stream of ["stdout", "stderr"] as const) {
      const wanted = await saidToDocker(dockerd, container.id, stream);
      assert.equal(await contentOf(following[stream]), wanted, stream);
    }
    await run("sh", ["-c", `cat ${pump.files().join(" ")} > ${pump.path}.whole`]);
    const whole = new KubeletReader(program, await folderFor("whole"), `${pump.path}.whole`);
    await whole.end();
    const last = new KubeletReader(program, await folderFor("last"), `${pump.path}.whole`, "-tail", "1");
    await last.end();
    for (const stream of ["stdout", "stderr"] as const) {
      assert.equal(await contentOf(whole[stream]), await saidToDocker(dockerd, container.id, stream), stream);
    }
    // Docker reads both outputs side by side: a line of one may come after the end of the other.
    const line = tailOf(`${pump.path}.whole`).trimEnd().split("\n").at(-1) ?? "";
    const [, stream, tag, said] = /^\S+ (stdout|stderr) ([PF]) (.*)$/.exec(line) ?? assert.fail(line);
    assert.equal(
      await readFile(last[stream as "stdout" | "stderr"], "utf8"),
      tag === "P" ? said : `${said}\n`,
    );

    async function folderFor(name: string): Promise<string> {
      const folder = join(dockerd.folder, name);
      await mkdir(folder, { recursive: true });
      return folder;
    }
  });
});

describe("a log that Docker rotates underneath", () => {
  for (const [engine, driver] of [
    ["20.10", "json-file"],
    ["26.1", "json-file"],
    ["26.1", "local"],
    ["28", "local"],
  ] as const) {
    it(`is whole on Docker ${engine}, driver ${driver}`, async () => {
      const dockerd = await lab.dockerd({ engine, name: "logs" });
      const lines = 100_000;
      const container = await CountingContainer.start(lab, dockerd, {
        lines,
        driver,
        maxSize: "2m",
        maxFile: 3,
      });
      const pump = new KilledPump(dockerd, container.id);
      pump.start();
      await pump.says("ready");
      await container.say(1);
      while (pump.sizeBytes() === 0) await pause(10);
      while (container.burstsLeft > 0) {
        await container.say(1);
        // A writer that waits for its reader: what Docker has rotated away twice is lost to everybody.
        while (pump.newestNumber() < container.saidLines - 1_000) await pause(5);
      }
      await pump.says("complete", 60_000);
      assert.doesNotMatch(pump.said, /no longer holds/);
      const { count, backwards, strange, ended } = await numbersIn(pump.files());
      assert.deepEqual(
        { count, backwards, strange, ended },
        { count: lines, backwards: 0, strange: [], ended: true },
      );
    });
  }
});
