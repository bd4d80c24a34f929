import { join } from "node:path";
import { parseArgs } from "node:util";
import type { EngineName } from "../test/docker/lab/index.js";

/** What can be measured, in the order in which it is. All is side by side with cri-dockerd; the start only with --peer. */
export const partNames = [
  "start",
  "reads",
  "stats",
  "churn",
  "images",
  "pods",
  "containers",
  "logs",
  "streaming",
] as const;
export type PartName = (typeof partNames)[number];

/** What one run of the benchmark measures. */
export interface BenchOptions {
  readonly parts: readonly PartName[];
  /** Whether the start, too, is measured on a dockerd and side by side with cri-dockerd. */
  readonly peer: boolean;
  /** How many pods there are while reads are measured, ascending. */
  readonly pods: readonly number[];
  /** Pods that each shim makes and removes. */
  readonly churn: number;
  /** Pods, and containers, that each shim makes and ends one by one in a turn. */
  readonly calls: number;
  /** How often each shim has its turn. */
  readonly rounds: number;
  /** Lines that the shouting container says, and containers that say 50 a second. */
  readonly lines: number;
  readonly sayers: number;
  /** What streaming moves each way. */
  readonly megabytes: number;
  readonly engine: EngineName;
  /** The built command line. */
  readonly program: string;
}

const help = `npm run bench -- [options]

  --peer              all parts; installs and builds what they need (root, Debian or Ubuntu)
  --only reads,churn  only these parts: ${partNames.join(", ")}
  --pods 1,60,250     reads, stats: pods on the node
  --churn 1000        churn: pods that each shim creates and removes
  --calls 15          pods, containers: calls of each shim in a round
  --lines 1000000     logs: lines of the one fast container
  --sayers 200        logs: containers that write 50 lines/s each
  --megabytes 500     streaming: megabytes in each direction
  --rounds 3          rounds of each shim
  --engine 20.10      the Docker Engine: 20.10 or 26.1
  --program FILE      the built command line, dist/cli/docker-cri.cjs by default

Without --peer and --only, it measures the start on the in-memory engine. All other parts, and the start with --peer, run on
dockerd and side by side with cri-dockerd v0.4.4. All parts take about an hour, reads half of it.
`;

/** Reads the command line; prints the help and ends when it is asked for. @throws Error for what is wrong. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      peer: { type: "boolean", default: false },
      only: { type: "string" },
      pods: { type: "string", default: "1,60,250" },
      churn: { type: "string", default: "1000" },
      calls: { type: "string", default: "15" },
      lines: { type: "string", default: "1000000" },
      sayers: { type: "string", default: "200" },
      megabytes: { type: "string", default: "500" },
      rounds: { type: "string", default: "3" },
      engine: { type: "string", default: "20.10" },
      program: { type: "string", default: join(import.meta.dirname, "..", "dist", "cli", "docker-cri.cjs") },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    process.exit(0);
  }
  if (values.engine !== "20.10" && values.engine !== "26.1")
    throw new Error(`--engine ${values.engine}: write 20.10 or 26.1`);
  return {
    peer: values.peer,
    parts: values.only === undefined ? (values.peer ? partNames : ["start"]) : chosen(values.only),
    pods: values.pods
      .split(",")
      .map((text) => wholeNumber("--pods", text))
      .sort((a, b) => a - b),
    churn: wholeNumber("--churn", values.churn),
    calls: wholeNumber("--calls", values.calls),
    lines: wholeNumber("--lines", values.lines),
    sayers: wholeNumber("--sayers", values.sayers),
    megabytes: wholeNumber("--megabytes", values.megabytes),
    rounds: wholeNumber("--rounds", values.rounds),
    engine: values.engine,
    program: values.program,
  };
}

function chosen(text: string): PartName[] {
  return text.split(",").map((name) => {
    const known = partNames.find((part) => part === name);
    if (known === undefined) throw new Error(`--only ${name}: write some of ${partNames.join(", ")}`);
    return known;
  });
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new Error(`${option} ${text}: write a whole number above 0`);
  return number;
}
