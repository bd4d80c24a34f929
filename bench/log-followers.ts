import { createReadStream, existsSync, readdirSync, statSync } from "node:fs";
import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { residentBytes, type Dockerd, type Lab, type Service } from "../test/docker/lab/index.js";
import { processInfo, ticksPerSecond } from "../test/docker/lab/processes.js";
import { weighCpu } from "./cpu-group.js";
import { startOurs } from "./shims.js";

/** Who follows logs, and may be asked how many lines it has got so far. */
export interface Follower extends AsyncDisposable {
  readonly pid: number;
  /** Where it serves CRI, if it does. */
  readonly endpoint: string | undefined;
  lines(): Promise<number>;
  cpuSeconds(): number;
  rssBytes(): Promise<number>;
}

/** Follows Docker's logs in a process of its own and drops what comes. */
export async function startBare(dockerd: Dockerd, ids: readonly string[]): Promise<Follower> {
  const program = join(import.meta.dirname, "bare-follower.ts");
  const args = ["--import", "tsx", program, dockerd.endpoint, ...ids];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const heard = new Answers(child);
  await heard.next();
  const pid = child.pid ?? 0;
  return {
    pid,
    endpoint: undefined,
    lines: async () => {
      child.kill("SIGUSR2");
      return Number(await heard.next());
    },
    cpuSeconds: () => (processInfo(pid)?.cpuTicks ?? 0) / ticksPerSecond,
    rssBytes: () => residentBytes(pid),
    [Symbol.asyncDispose]: async () => {
      const gone = new Promise((resolve) => child.on("exit", resolve));
      child.kill("SIGKILL");
      await gone;
    },
  };
}

/** `serve` as a user would start it, which keeps the logs of the containers that it finds. */
export async function startShim(
  lab: Lab,
  dockerd: Dockerd,
  program: string,
  logMode: "cri" | "docker-json",
): Promise<Follower> {
  const { service, endpoint } = await startOurs(lab, dockerd, program, [`--log-mode=${logMode}`]);
  const files = new LineCount(join(dockerd.folder, "pods"));
  return followerOf(service, endpoint, () => files.count());
}

/** A shim whose logs are not counted. */
export function followerOf(service: Service, endpoint: string, lines = () => Promise.resolve(0)): Follower {
  return {
    pid: service.pid,
    endpoint,
    lines,
    cpuSeconds: () => service.cpuSeconds(),
    rssBytes: () => service.rssBytes(),
    [Symbol.asyncDispose]: () => service.stop(),
  };
}

/** The same follower, with a share of the CPU. */
export async function weighed(follower: Follower, cpuWeight: number): Promise<Follower> {
  try {
    const removeGroup = await weighCpu(follower.pid, cpuWeight);
    const stop = async () => {
      await follower[Symbol.asyncDispose]();
      await removeGroup();
    };
    return { ...follower, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await follower[Symbol.asyncDispose]();
    throw error;
  }
}

const newline = 0x0a;

/** Counts the lines of all files below a folder; what it has counted once it reads no more. */
class LineCount {
  private readonly counted = new Map<string, { bytes: number; lines: number }>();

  constructor(private readonly folder: string) {}

  async count(): Promise<number> {
    let sum = 0;
    if (!existsSync(this.folder)) return sum;
    for (const entry of readdirSync(this.folder, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) sum += await this.countFile(join(entry.parentPath, entry.name));
    }
    return sum;
  }

  private async countFile(path: string): Promise<number> {
    const { size } = statSync(path);
    const known = this.counted.get(path) ?? { bytes: 0, lines: 0 };
    if (size > known.bytes) {
      for await (const chunk of createReadStream(path, { start: known.bytes, end: size - 1 })) {
        const bytes = chunk as Buffer;
        for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) known.lines++;
      }
      known.bytes = size;
      this.counted.set(path, known);
    }
    return known.lines;
  }
}

/** The lines that a process says, each for one reader. */
class Answers {
  private readonly lines: string[] = [];
  private rest = "";

  constructor(private readonly child: ChildProcess) {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const parts = (this.rest + text).split("\n");
      this.rest = parts.pop() ?? "";
      this.lines.push(...parts);
    });
  }

  async next(): Promise<string> {
    for (;;) {
      const line = this.lines.shift();
      if (line !== undefined) return line;
      if (this.child.exitCode !== null) throw new Error(`the follower ended with ${this.child.exitCode}`);
      await pause(5);
    }
  }
}
