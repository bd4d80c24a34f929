import type { ChurnFigures } from "./churn.js";
import type { ColdStart } from "./cold-start.js";
import type { PeerFigures } from "./peer.js";
import type { ReadFigures } from "./reads.js";

/** All that one run has measured. */
export interface Figures {
  readonly at: string;
  readonly node: string;
  readonly cpus: number;
  readonly coldStart: ColdStart;
  readonly peer?: PeerFigures;
}

/** What must hold: the figure of docker-cri, as a part of cri-dockerd's. */
const limits: readonly { readonly pods: number; readonly names: readonly string[]; readonly most: number }[] =
  [
    { pods: 60, names: ["ListPodSandbox", "ListContainers"], most: 0.25 },
    { pods: 60, names: ["PodSandboxStatus", "ContainerStatus", "ListImages", "ImageStatus"], most: 0.5 },
    { pods: 250, names: ["ListPodSandbox", "ListContainers"], most: 0.15 },
  ];
const mostPollingCpu = 0.05;
const pollingHeldFrom = 60;
const mostGrowth = 1.1;

/** The figures as markdown: a table for each number of pods, ratios to cri-dockerd. */
export function toMarkdown({ coldStart, peer, ...run }: Figures): string {
  const parts = [
    `Measured at ${run.at} with Node ${run.node} on ${run.cpus} cores.`,
    table(
      ["cold start, memory engine", "median"],
      [
        ["process start to first answered Version", `${coldStart.firstVersionMs.toFixed(0)} ms`],
        ["RSS after it", megabytes(coldStart.rssBytes)],
      ],
    ),
  ];
  if (peer) {
    for (const pods of new Set(peer.reads.map((each) => each.pods))) parts.push(readTable(peer, pods));
    if (peer.churn.length > 0) parts.push(churnTable(peer.churn));
  }
  return parts.join("\n\n");
}

/** The figures that are not what they must be; empty when all are. */
export function missed({ peer }: Figures): string[] {
  if (!peer) return [];
  const found: string[] = [];
  for (const { pods, names, most } of limits) {
    const [theirs, ours] = pair(peer.reads, pods);
    for (const read of ours?.reads ?? []) {
      const other = theirs?.reads.find(({ rpc, callers }) => rpc === read.rpc && callers === read.callers);
      if (!other || !names.includes(read.rpc) || read.callers !== 1) continue;
      const ratio = read.p50Ms / other.p50Ms;
      if (ratio > most) found.push(`${read.rpc} with ${pods} pods: ${ratio.toFixed(3)}, not ${most}`);
    }
  }
  for (const pods of new Set(peer.reads.map((each) => each.pods))) {
    const [theirs, ours] = pair(peer.reads, pods);
    if (!theirs || !ours || pods < pollingHeldFrom) continue;
    const ratio = ours.dockerCpuSecondsPerSecondOfPolling / theirs.dockerCpuSecondsPerSecondOfPolling;
    if (ratio > mostPollingCpu)
      found.push(
        `Docker's CPU while lists are polled with ${pods} pods: ${ratio.toFixed(3)}, not ${mostPollingCpu}`,
      );
  }
  const churn = peer.churn.find(({ shim }) => shim === "docker-cri");
  if (churn) {
    const { before, after, errors } = churn;
    if (errors > 0) found.push(`${errors} errors while pods were made and removed`);
    if (after.rssBytes > before.rssBytes * mostGrowth)
      found.push(
        `RSS after ${churn.pods} pods: ${(after.rssBytes / before.rssBytes).toFixed(3)}, not ${mostGrowth}`,
      );
    if (after.descriptors > before.descriptors) found.push("descriptors were left open");
    for (const [kind, count] of Object.entries(after.self?.resources ?? {}))
      if (count > (before.self?.resources[kind] ?? 0)) found.push(`${kind}: left open`);
  }
  return found;
}

function readTable({ reads, engineVersion }: PeerFigures, pods: number): string {
  const [theirs, ours] = pair(reads, pods);
  if (!theirs || !ours) return "";
  const rows = ours.reads.flatMap((read) => {
    const other = theirs.reads.find(({ rpc, callers }) => rpc === read.rpc && callers === read.callers);
    if (!other) return [];
    return [
      [
        read.rpc,
        String(read.callers),
        `${read.p50Ms.toFixed(2)} / ${other.p50Ms.toFixed(2)}`,
        ratioOf(read.p50Ms, other.p50Ms),
        `${read.p99Ms.toFixed(2)} / ${other.p99Ms.toFixed(2)}`,
        ratioOf(read.p99Ms, other.p99Ms),
      ],
    ];
  });
  const summary = (name: string, of: (figures: ReadFigures) => number, show: (value: number) => string) => [
    name,
    show(of(ours)),
    show(of(theirs)),
    ratioOf(of(ours), of(theirs)),
  ];
  return [
    `### ${pods} pods, Docker ${engineVersion}: docker-cri / cri-dockerd`,
    table(["RPC", "callers", "p50 ms", "ratio", "p99 ms", "ratio"], rows),
    table(
      ["", "docker-cri", "cri-dockerd", "ratio"],
      [
        summary("Docker's CPU for 1,000 reads", (each) => each.dockerCpuSecondsPerThousandReads, seconds),
        summary(
          `Docker's CPU a second, lists every 100 ms (beyond ${seconds(ours.dockerCpuSecondsPerSecondOfRest)} at rest)`,
          (each) => each.dockerCpuSecondsPerSecondOfPolling,
          seconds,
        ),
        summary("RSS at rest", (each) => each.rssAtRestBytes, megabytes),
      ],
    ),
  ].join("\n\n");
}

function churnTable(churn: readonly ChurnFigures[]): string {
  const rows = churn.map(({ shim, pods, seconds: took, errors, before, after }) => [
    shim,
    String(pods),
    `${took.toFixed(0)} s`,
    String(errors),
    `${megabytes(before.rssBytes)} → ${megabytes(after.rssBytes)}`,
    ratioOf(after.rssBytes, before.rssBytes),
    `${before.descriptors} → ${after.descriptors}`,
    `${before.sockets} → ${after.sockets}`,
    before.self && after.self ? `${timers(before.self)} → ${timers(after.self)}` : "",
    before.self && after.self
      ? `${megabytes(before.self.heapUsedBytes)} → ${megabytes(after.self.heapUsedBytes)}`
      : "",
  ]);
  return [
    "### Pods made and removed, four at a time",
    table(
      ["", "pods", "took", "errors", "RSS", "ratio", "descriptors", "sockets", "timers", "heap, collected"],
      rows,
    ),
  ].join("\n\n");
}

function timers({ resources }: { readonly resources: Readonly<Record<string, number>> }): number {
  return resources["Timeout"] ?? 0;
}

function pair(reads: readonly ReadFigures[], pods: number): (ReadFigures | undefined)[] {
  const of = (shim: string) => reads.find((each) => each.pods === pods && each.shim === shim);
  return [of("cri-dockerd"), of("docker-cri")];
}

function ratioOf(ours: number, theirs: number): string {
  return theirs === 0 ? "–" : (ours / theirs).toFixed(3);
}

function seconds(value: number): string {
  return `${value.toFixed(3)} s`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
