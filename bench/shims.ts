import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { accepts, waitUntil, type Dockerd, type Lab, type Service } from "../test/docker/lab/index.js";
import { selfReportModule } from "./self-report.js";

/** A shim that was frozen first hears of what the others did meanwhile. */
export const wakeMs = 1_500;

export type ShimName = "docker-cri" | "cri-dockerd";

/** A shim that is measured: its process, and where it serves. */
export interface MeasuredShim {
  readonly name: ShimName;
  readonly service: Service;
  readonly endpoint: string;
}

/** What a Node process says of itself, beside what the kernel knows of it. */
export interface SelfReport {
  /** Timers, sockets, pipes and the like that keep it alive, counted by kind. */
  readonly resources: Readonly<Record<string, number>>;
  readonly heapUsedBytes: number;
}

/** Starts cri-dockerd on an engine, with Docker's own network. */
export async function startPeer(lab: Lab, dockerd: Dockerd): Promise<MeasuredShim> {
  const { service, endpoint } = await lab.criDockerd({ dockerEndpoint: dockerd.endpoint });
  return { name: "cri-dockerd", service, endpoint };
}

/**
 * Starts docker-cri likewise: as a user would, but for a signal that has it report on itself.
 * @param flags More of serve's.
 */
export async function startOurs(
  lab: Lab,
  dockerd: Dockerd,
  program: string,
  flags: readonly string[] = [],
): Promise<MeasuredShim> {
  const service = await lab.service({
    name: "docker-cri",
    command: process.execPath,
    args: (folder) => [
      "--import",
      selfReportModule(folder),
      program,
      "serve",
      `--container-runtime-endpoint=unix://${socketIn(folder)}`,
      `--docker-endpoint=${dockerd.endpoint}`,
      "--network-plugin=none",
      `--root-directory=${join(folder, "root")}`,
      "--restrict-oom-score-adj",
      ...flags,
    ],
    ready: (folder) => accepts(socketIn(folder)),
  });
  return { name: "docker-cri", service, endpoint: `unix://${socketIn(service.folder)}` };
}

/** Asks docker-cri for its own count of what is open. @throws Error when it does not answer. */
export async function selfReport({ service }: MeasuredShim): Promise<SelfReport> {
  const file = join(service.folder, `self-report-${service.pid}.json`);
  await rm(file, { force: true });
  service.signal("SIGUSR2");
  let text: string | undefined;
  await waitUntil(async () => {
    text = await readFile(file, "utf8").catch(() => undefined);
    return text !== undefined && text.endsWith("\n");
  }, 10_000);
  if (text === undefined) throw new Error(`${service.name} did not report on itself: ${service.logPath}`);
  return JSON.parse(text) as SelfReport;
}

/** Runs `work` while only one of the shims runs, or none: the others, frozen, ask nothing of Docker. */
export async function alone<T>(
  shim: Pick<MeasuredShim, "service"> | undefined,
  others: readonly Pick<MeasuredShim, "service">[],
  work: () => Promise<T>,
): Promise<T> {
  const frozen = others.filter((other) => other !== shim);
  for (const { service } of frozen) service.signal("SIGSTOP");
  try {
    return await work();
  } finally {
    for (const { service } of frozen) service.signal("SIGCONT");
  }
}

/** Gives each its turn, one after the other; who begins changes from round to round. */
export async function inTurn<K extends string, T>(
  round: number,
  turns: Readonly<Record<K, () => Promise<T>>>,
): Promise<Record<K, T>> {
  const names = Object.keys(turns) as K[];
  const results: Partial<Record<K, T>> = {};
  for (let index = 0; index < names.length; index++) {
    const name = names[(round + index) % names.length] as K;
    results[name] = await turns[name]();
  }
  return results as Record<K, T>;
}

function socketIn(folder: string): string {
  return join(folder, "cri.sock");
}
