import { join } from "node:path";
import { parseArgs } from "node:util";
import type { EngineName } from "../test/docker/lab/index.js";

/** What one run of the benchmark measures. */
export interface BenchOptions {
  /** Beside the cold start, everything that is measured side by side with cri-dockerd. */
  readonly peer: boolean;
  /** How many pods there are while reads are measured, ascending. */
  readonly pods: readonly number[];
  /** Pods that each shim makes and removes; 0 leaves that part out. */
  readonly churn: number;
  /** How often each shim has its turn at the reads. */
  readonly rounds: number;
  readonly engine: EngineName;
  /** The built command line. */
  readonly program: string;
}

const help = `npm run bench -- [options]

  --peer              side by side with cri-dockerd v0.4.3, on a dockerd of its own (root, Debian or Ubuntu)
  --pods 1,60,250     pods on the node while reads are measured
  --churn 1000        pods that each shim makes and removes; 0 leaves that out
  --rounds 3          turns of each shim
  --engine 20.10      the Docker Engine: 20.10 or 26.1
  --program FILE      the built command line, dist/cli/main.js by default
`;

/** Reads the command line; prints the help and ends when it is asked for. @throws Error for what is wrong. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      peer: { type: "boolean", default: false },
      pods: { type: "string", default: "1,60,250" },
      churn: { type: "string", default: "1000" },
      rounds: { type: "string", default: "3" },
      engine: { type: "string", default: "20.10" },
      program: { type: "string", default: join(import.meta.dirname, "..", "dist", "cli", "main.js") },
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
    pods: values.pods.split(",").map((text) => wholeNumber("--pods", text)),
    churn: wholeNumber("--churn", values.churn),
    rounds: Math.max(1, wholeNumber("--rounds", values.rounds)),
    engine: values.engine,
    program: values.program,
  };
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`${option} ${text}: write a whole number`);
  return number;
}
