import { request } from "node:http";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createClients } from "../src/client/index.js";
import { createShim } from "../src/index.js";

/**
 * What reads logs in the benchmark, as a process of its own. `bare ENDPOINT ID…` follows Docker's logs and
 * counts their frames; `shim ENDPOINT ROOT` is a whole shim that keeps the logs of the containers that it finds.
 * It says "ready", and at SIGUSR2 what it has used since.
 */
const [mode = "", endpoint = "", ...rest] = process.argv.slice(2);

interface Report {
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  readonly frames: number;
  /** Of ListContainers, called every 20 ms; the time that a call had to wait for its turn counts. */
  readonly listMs: { readonly p50: number; readonly p99: number } | undefined;
  /** How late the event loop came to what was due, for one in a hundred. */
  readonly turnMsP99: number;
}

let frames = 0;
const turns = monitorEventLoopDelay({ resolution: 1 });
const calls: number[] = [];
let cpu = process.cpuUsage();

function begin(): void {
  turns.enable();
  turns.reset();
  calls.length = 0;
  frames = 0;
  cpu = process.cpuUsage();
  process.stdout.write("ready\n");
}

process.on("SIGUSR2", () => {
  const used = process.cpuUsage(cpu);
  const sorted = calls.sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
  const report: Report = {
    cpuSeconds: (used.user + used.system) / 1e6,
    rssBytes: process.memoryUsage.rss(),
    frames,
    listMs: sorted.length === 0 ? undefined : { p50: at(0.5), p99: at(0.99) },
    turnMsP99: turns.percentile(99) / 1e6,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
});

/** As little as can be done with Docker's stream: the frames are found and dropped. */
function followBare(id: string): Promise<void> {
  const path = `/v1.41/containers/${id}/logs?follow=1&stdout=1&stderr=1&timestamps=1`;
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: endpoint.replace("unix://", ""), path }, (response) => {
      let skip = 0;
      let header: Buffer = Buffer.alloc(0);
      response.on("data", (chunk: Buffer) => {
        let at = 0;
        while (at < chunk.length) {
          if (skip > 0) {
            const step = Math.min(skip, chunk.length - at);
            skip -= step;
            at += step;
            continue;
          }
          const wanted = 8 - header.length;
          const part = chunk.subarray(at, at + wanted);
          at += part.length;
          header = header.length === 0 ? part : Buffer.concat([header, part]);
          if (header.length < 8) break;
          skip = header.readUInt32BE(4);
          header = Buffer.alloc(0);
          frames++;
        }
      });
      response.on("end", resolve);
      response.on("error", reject);
    });
    call.on("error", reject);
    call.end();
  });
}

async function beShim(rootDirectory: string): Promise<void> {
  const shim = await createShim({
    engine: { kind: "docker", endpoint },
    network: { plugin: "none" },
    rootDirectory,
    logLevel: "warn",
  });
  await shim.start();
  const { runtime } = createClients(shim.inProcessTransport());
  const everyMs = 20;
  let due = performance.now();
  const call = () => {
    const dueAt = due;
    runtime.listContainers({}).then(
      () => calls.push(performance.now() - dueAt),
      (error: unknown) => process.stderr.write(`${String(error)}\n`),
    );
    due = Math.max(due + everyMs, performance.now());
    setTimeout(call, due - performance.now());
  };
  call();
}

if (mode === "bare") {
  begin();
  await Promise.all(rest.map(followBare));
} else {
  await beShim(rest[0] ?? "");
  begin();
}
process.stdout.write("followed\n");
