import type { z } from "zod";
import { ShimError } from "../base/index.js";
import { ShimConfigSchema, type ShimConfig, type ShimConfigInput } from "./shim-config.js";

/**
 * Checks a configuration and fills in the defaults.
 * @param source Where it came from, for the error: a file's path, or "the command line".
 * @throws ShimError "invalid-argument" naming each key that is wrong.
 */
export function parseConfig(input: ShimConfigInput, source = "configuration"): ShimConfig {
  return checked(ShimConfigSchema, input, source);
}

/**
 * Parses `input` with `schema`.
 * @throws ShimError "invalid-argument" naming `source` and each key that is wrong.
 */
export function checked<S extends z.ZodType>(schema: S, input: unknown, source: string): z.output<S> {
  const result = schema.safeParse(withEngineDefaults(input), { error: absence });
  if (result.success) return result.data;
  throw new ShimError("invalid-argument", `${source}: ${result.error.issues.flatMap(problems).join("; ")}`);
}

/** An engine is Docker by default. The memory engine has no CNI plugins: by default its pods are on its bridge. */
function withEngineDefaults(input: unknown): unknown {
  if (!isRecord(input) || !isRecord(input["engine"])) return input;
  const { kind = "docker" } = input["engine"];
  const { network = {} } = input;
  const engine = { ...input["engine"], kind };
  if (kind !== "memory" || !isRecord(network)) return { ...input, engine };
  return { ...input, engine, network: { plugin: "none", ...network } };
}

/** In YAML, a key whose value is left out, or commented out, is null. */
function absence(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code !== "invalid_type") return undefined;
  if (issue.input === undefined) return "missing";
  return issue.input === null ? "has no value: give it one, or leave the key out" : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function problems(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => `${[...path, key].join(".")}: unknown key`);
  const key = path.join(".");
  return [key === "" ? issue.message : `${key}: ${issue.message}`];
}
