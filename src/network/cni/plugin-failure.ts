import { messageOf, ShimError, type ErrorKind } from "../../base/index.js";
import type { HostCommandResult } from "../../host/index.js";
import { excerpt, parseObject, type JsonObject } from "./json.js";

/** The operations of CNI. */
export type Verb = "ADD" | "CHECK" | "DEL" | "STATUS" | "GC" | "VERSION";

/** One run of one plugin, for error texts. */
export interface PluginRun {
  readonly type: string;
  readonly verb: Verb;
  readonly networkName: string;
}

/**
 * The failure of a plugin that ran.
 * @see CNI SPEC, section 5, "Error"
 */
export class PluginFailure extends ShimError {
  constructor(
    kind: ErrorKind,
    message: string,
    /** The plugin's own error code; undefined when it gave none. */
    readonly code: number | undefined,
  ) {
    super(kind, message, { operation: "network.plugin" });
  }
}

/** "Container unknown or does not exist": nothing is left to clean up. */
export const unknownContainer = 3;

/** The failure in a plugin's exit code or output; undefined when it succeeded. */
export function failureOf(run: PluginRun, result: HostCommandResult): PluginFailure | undefined {
  const stdout = result.stdout.toString();
  const body = parseObject(stdout);
  const cniError = body && isErrorBody(body) ? body : undefined;
  if (result.exitCode === 0 && !cniError) return undefined;
  const stderr = excerpt(result.stderr.toString());
  if (cniError) {
    const code = typeof cniError["code"] === "number" ? cniError["code"] : undefined;
    return new PluginFailure(kindOf(code), describe(run, cniError, code, stderr), code);
  }
  const output = [
    excerpt(stdout) && `it printed ${excerpt(stdout)}`,
    stderr && `on standard error: ${stderr}`,
  ];
  const printed = output.filter(Boolean).join("; ") || "it printed nothing";
  return new PluginFailure(
    "failed-precondition",
    `${name(run)} exited with code ${result.exitCode} without a CNI error; ${printed}. ${advice(undefined)}`,
    undefined,
  );
}

/** The error of a run without an exit code: not started, killed, too much output. */
export function notRun(run: PluginRun, error: unknown): ShimError {
  const kinds = ["deadline-exceeded", "cancelled", "resource-exhausted"] as const;
  const kind = error instanceof ShimError ? kinds.find((each) => each === error.kind) : undefined;
  const hint =
    kind === "deadline-exceeded"
      ? ". See whether what the plugin waits for is running (its daemon, the API server)"
      : "";
  return new ShimError(kind ?? "failed-precondition", `${name(run)}: ${messageOf(error)}${hint}`, {
    operation: "network.plugin",
    cause: error,
  });
}

/** The beginning of every error text about a plugin. */
export function name({ type, verb, networkName }: PluginRun): string {
  return `CNI plugin ${type}, ${verb} in network ${networkName}`;
}

/** Results never have these fields. */
function isErrorBody({ code, msg }: JsonObject): boolean {
  return (typeof code === "number" && code !== 0) || (typeof msg === "string" && msg !== "");
}

function describe(run: PluginRun, cniError: JsonObject, code: number | undefined, stderr: string): string {
  const details = typeof cniError["details"] === "string" ? excerpt(cniError["details"]) : "";
  const message = typeof cniError["msg"] === "string" ? excerpt(cniError["msg"]) : "";
  const parts = [
    `${name(run)} failed${code === undefined ? "" : ` with code ${code}`}: ${message || "it gave no message"}`,
    details && `details: ${details}`,
    stderr && `on standard error: ${stderr}`,
  ];
  return `${parts.filter(Boolean).join("; ")}. ${advice(code)}`;
}

function kindOf(code: number | undefined): ErrorKind {
  return code === 11 || code === 50 || code === 51 ? "unavailable" : "failed-precondition";
}

/** Advice for the operator, by the specification's error codes. */
function advice(code: number | undefined): string {
  switch (code) {
    case 1:
      return "Set a cniVersion in the network configuration that the plugin speaks, or update the plugin";
    case 2:
    case 6:
    case 7:
      return "Correct the network configuration";
    case 11:
      return "It asks to be tried again later";
    case 50:
    case 51:
      return "The plugin is not available: see whether its daemon runs";
    default:
      return "See the plugin's own logs and configuration";
  }
}
