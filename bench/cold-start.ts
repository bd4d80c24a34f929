import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClients } from "../src/client/index.js";
import { residentBytes } from "../test/docker/lab/processes.js";
import { median } from "./numbers.js";

/** What a server costs from nothing. */
export interface ColdStart {
  /** From the start of the process to the first answered Version. */
  readonly firstVersionMs: number;
  readonly rssBytes: number;
  readonly runs: number;
}

const runs = 5;
const patienceMs = 30_000;

/** Starts the server over the memory engine several times and takes the medians. */
export async function measureColdStart(program: string): Promise<ColdStart> {
  // The first run warms the client here, and the disk's cache.
  await startOnce(program);
  const measured = [];
  for (let run = 0; run < runs; run++) measured.push(await startOnce(program));
  return {
    firstVersionMs: median(measured.map(({ firstVersionMs }) => firstVersionMs)),
    rssBytes: median(measured.map(({ rssBytes }) => rssBytes)),
    runs,
  };
}

async function startOnce(program: string): Promise<{ firstVersionMs: number; rssBytes: number }> {
  const folder = await mkdtemp(join(tmpdir(), "docker-cri-bench-"));
  const path = join(folder, "cri.sock");
  const began = performance.now();
  const args = ["serve", "--engine", "memory", "--container-runtime-endpoint", `unix://${path}`];
  const child = spawn(process.execPath, [program, ...args, "--root-directory", folder], { stdio: "ignore" });
  const ended = once(child, "exit");
  try {
    await untilConnects(path, () => child.exitCode === null);
    using clients = createClients({ endpoint: `unix://${path}` });
    await clients.runtime.version({});
    const firstVersionMs = performance.now() - began;
    return { firstVersionMs, rssBytes: await residentBytes(child.pid ?? 0) };
  } finally {
    child.kill("SIGTERM");
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}

async function untilConnects(path: string, lives: () => boolean): Promise<void> {
  const end = Date.now() + patienceMs;
  while (!(await takesConnections(path))) {
    if (!lives()) throw new Error("the server ended before it served");
    if (Date.now() > end) throw new Error(`the server did not serve within ${patienceMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function takesConnections(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => {
      resolve(false);
    });
  });
}
