import { run } from "./command.js";
import { moduleProgram } from "./tools.js";

/** One step of a plan. What the fields mean stands in test/go/cmd/cribench/main.go. */
export interface CribenchStep {
  readonly name?: string;
  readonly rpc?: string;
  readonly callers?: number;
  readonly calls?: number;
  readonly seconds?: number;
  readonly maxSeconds?: number;
  readonly everyMs?: number;
  readonly warmup?: number;
  readonly ids?: readonly string[];
  readonly command?: readonly string[];
  readonly image?: string;
  readonly containersPerPod?: number;
  readonly hostNetwork?: boolean;
  readonly logDirectory?: string;
  readonly runtimeHandler?: string;
  readonly together?: readonly CribenchStep[];
}

/** What was measured of one RPC in one step. Times are milliseconds of the calls that succeeded. */
export interface CribenchResult {
  readonly step: string;
  readonly rpc: string;
  readonly callers: number;
  readonly calls: number;
  readonly errors: number;
  readonly errorsByCode?: Readonly<Record<string, number>>;
  readonly firstError?: string;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly meanMs: number;
  readonly maxMs: number;
  readonly seconds: number;
  readonly callsPerSecond: number;
  /** The shortest and longest list that an answer held. */
  readonly minItems: number;
  readonly maxItems: number;
}

/**
 * Calls a CRI endpoint with grpc-go, as a kubelet does, step after step.
 * @param endpoint `unix://…` or `tcp://…`
 * @throws CommandError when nothing answers there, or a step cannot begin. Calls that fail are counted.
 */
export async function cribench(
  endpoint: string,
  steps: readonly CribenchStep[],
  options: { readonly callTimeoutSeconds?: number; readonly timeoutMs?: number } = {},
): Promise<CribenchResult[]> {
  const plan = { endpoint, steps, timeoutSeconds: options.callTimeoutSeconds ?? 120 };
  const { stdout } = await run(await moduleProgram("cribench"), [], {
    input: JSON.stringify(plan),
    timeoutMs: options.timeoutMs ?? 1_200_000,
  });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as CribenchResult);
}
