import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { basicImageNames, run, withLab, type Dockerd, type EngineName } from "../test/docker/lab/index.js";

/**
 * What keeping logs costs, beside a bare consumer of Docker's logs: `npx tsx bench/logs.ts`. One container that
 * says all its lines at once, and many that say 50 lines a second each. Needs root and the lab's Docker.
 */
const { values } = parseArgs({
  options: {
    engine: { type: "string", default: "20.10" },
    lines: { type: "string", default: "1000000" },
    containers: { type: "string", default: "200" },
    seconds: { type: "string", default: "20" },
    rounds: { type: "string", default: "2" },
  },
});
const lines = Number(values.lines);
const containers = Number(values.containers);
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);

type Mode = "bare" | "shim";

interface Report {
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  readonly frames: number;
  readonly listMs?: { readonly p50: number; readonly p99: number };
  readonly turnMsP99: number;
}

interface Result extends Report {
  readonly what: string;
  readonly mode: Mode;
  readonly lines: number;
  readonly seconds: number;
  readonly dockerdCpuSeconds: number;
}

/** A consumer's process. */
class Consumer {
  private readonly child: ChildProcess;
  private said = "";

  constructor(mode: Mode, dockerd: Dockerd, rest: readonly string[]) {
    const program = join(import.meta.dirname, "logs-consumer.ts");
    const args = ["--import", "tsx", program, mode, dockerd.endpoint, ...rest];
    this.child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.said += text));
  }

  async says(word: string): Promise<void> {
    while (!this.said.includes(word)) {
      if (this.child.exitCode !== null) throw new Error(`the consumer ended with ${this.child.exitCode}`);
      await pause(5);
    }
  }

  async report(): Promise<Report> {
    this.said = "";
    this.child.kill("SIGUSR2");
    await this.says("\n");
    return JSON.parse(this.said) as Report;
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const gone = new Promise((resolve) => this.child.on("exit", resolve));
    this.child.kill("SIGKILL");
    await gone;
  }
}

/** Containers as kubelet's are, so that a shim takes their logs up. */
async function startContainer(
  dockerd: Dockerd,
  name: string,
  logPath: string,
  more: readonly string[],
): Promise<string> {
  const labels = {
    "io.kubernetes.docker.type": "container",
    "io.kubernetes.container.name": "app",
    "io.kubernetes.container.logpath": logPath,
    "io.kubernetes.sandbox.id": "0".repeat(64),
  };
  const flags = Object.entries(labels).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
  const { stdout } = await dockerd.docker([
    ...["run", "--detach", "--network", "none", "--name", `k8s_app_${name}_ns_uid-${name}_0`],
    ...["--log-driver", "json-file", "--log-opt", "max-size=2g", ...flags, ...more],
  ]);
  return stdout.trim();
}

const shouting = `BEGIN {
  pad = "x"; for (i = 0; i < 6; i++) pad = pad pad
  getline token < "/control/tokens"
  for (n = 1; n <= lines; n++) print n " " pad substr(pad, 1, n % 32)
  print "the end"; fflush()
  getline token < "/control/tokens"
}`;

async function measureShouting(dockerd: Dockerd, mode: Mode, round: number): Promise<Result> {
  const name = `shout-${mode}-${round}`;
  const control = join(dockerd.folder, name);
  const path = join(dockerd.folder, "pods", name, "app/0.log");
  await run("mkdir", ["-p", control]);
  await run("mkfifo", [join(control, "tokens")]);
  await using tokens = await open(join(control, "tokens"), "r+");
  const id = await startContainer(dockerd, name, path, [
    ...["--volume", `${control}:/control`, basicImageNames.busybox],
    ...["awk", "-v", `lines=${lines}`, shouting],
  ]);
  const consumer = new Consumer(mode, dockerd, mode === "bare" ? [id] : [join(control, "root")]);
  try {
    await consumer.says("ready");
    await pause(1_000);
    const dockerdBefore = await dockerd.cpuSeconds();
    await consumer.report();
    const began = performance.now();
    await tokens.write("go\n");
    if (mode === "bare") {
      while ((await consumer.report()).frames < lines + 1) await pause(20);
    } else while (!endOf(path).includes("the end")) await pause(20);
    const took = (performance.now() - began) / 1000;
    const report = await consumer.report();
    const dockerdCpuSeconds = (await dockerd.cpuSeconds()) - dockerdBefore;
    return { what: "one that shouts", mode, lines, seconds: took, dockerdCpuSeconds, ...report };
  } finally {
    await consumer.end();
    await dockerd.docker(["rm", "--force", id]);
  }
}

async function measureMany(dockerd: Dockerd): Promise<Result[]> {
  const ids: string[] = [];
  for (let n = 0; n < containers; n += 4) {
    const four = [n, n + 1, n + 2, n + 3].filter((each) => each < containers);
    const started = four.map((each) =>
      startContainer(dockerd, `many-${each}`, join(dockerd.folder, `pods/many-${each}/app/0.log`), [
        ...[basicImageNames.busybox, "ping", "-i", "0.02", "127.0.0.1"],
      ]),
    );
    ids.push(...(await Promise.all(started)));
  }
  const results: Result[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const mode of ["bare", "shim"] as const) {
      const root = join(dockerd.folder, "many-root");
      const consumer = new Consumer(mode, dockerd, mode === "bare" ? ids : [root]);
      await consumer.says("ready");
      // What Docker has stored is read first.
      await pause(10_000);
      const [before, bytes] = [await consumer.report(), bytesBelow(join(dockerd.folder, "pods"))];
      const dockerdBefore = await dockerd.cpuSeconds();
      await pause(seconds * 1000);
      const after = await consumer.report();
      const said =
        mode === "bare"
          ? after.frames - before.frames
          : Math.round((bytesBelow(join(dockerd.folder, "pods")) - bytes) / 100);
      results.push({
        ...after,
        what: `${containers} × 50 lines/s`,
        mode,
        lines: said,
        seconds,
        cpuSeconds: after.cpuSeconds - before.cpuSeconds,
        dockerdCpuSeconds: (await dockerd.cpuSeconds()) - dockerdBefore,
      });
      await consumer.end();
    }
  }
  return results;
}

function endOf(path: string): string {
  try {
    const file = openSync(path, "r");
    const buffer = Buffer.alloc(64);
    const { size } = fstatSync(file);
    readSync(file, buffer, 0, 64, Math.max(0, size - 64));
    closeSync(file);
    return buffer.toString("latin1");
  } catch {
    return "";
  }
}

function bytesBelow(folder: string): number {
  let sum = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = openSync(join(entry.parentPath, entry.name), "r");
    sum += fstatSync(file).size;
    closeSync(file);
  }
  return sum;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function row(result: Result): string {
  const perMillion = (cpu: number) => ((cpu * 1e6) / result.lines).toFixed(2);
  return [
    result.what.padEnd(20),
    result.mode.padEnd(6),
    String(Math.round(result.lines / result.seconds)).padStart(9),
    perMillion(result.cpuSeconds).padStart(11),
    perMillion(result.dockerdCpuSeconds).padStart(12),
    (result.rssBytes / 2 ** 20).toFixed(0).padStart(8),
    (result.listMs?.p50.toFixed(1) ?? "").padStart(9),
    (result.listMs?.p99.toFixed(1) ?? "").padStart(9),
    result.turnMsP99.toFixed(1).padStart(9),
  ].join(" ");
}

await withLab(async (lab) => {
  const dockerd = await lab.dockerd({ engine: values.engine as EngineName, name: "logbench" });
  const results: Result[] = [];
  if (lines > 0) {
    for (let round = 0; round < rounds; round++) {
      for (const mode of ["bare", "shim"] as const) results.push(await measureShouting(dockerd, mode, round));
    }
  }
  if (containers > 0) results.push(...(await measureMany(dockerd)));
  const head =
    "what                 who      lines/s  CPU s/M l.  dockerd s/M   RSS MB  List p50  List p99  turn p99";
  process.stdout.write(`${head}\n${results.map(row).join("\n")}\n`);
});
