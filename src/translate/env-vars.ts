import type { KeyValue } from "../gen/runtime/v1/api_pb.js";
import { invalid, quote, unsupported } from "./validation.js";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * `NAME=value` for each variable. Of duplicate names the last one wins, because programs differ in which one they read.
 * Errors never contain a value.
 * @throws ShimError "invalid-argument"; "unsupported" for a value that is not UTF-8, because Docker's API is JSON.
 */
export function environmentVariables(variables: readonly KeyValue[]): string[] {
  const values = new Map<string, string>();
  for (const { key, value } of variables) {
    if (key === "" || /[=\0]/.test(key)) {
      throw invalid("config.envs", `contains ${quote(key)}, which is not a valid variable name`);
    }
    const text = decode(value, key);
    if (text.includes("\0")) throw invalid("config.envs", `has a NUL byte in the value of ${quote(key)}`);
    values.delete(key);
    values.set(key, text);
  }
  return [...values].map(([key, value]) => `${key}=${value}`);
}

function decode(value: Uint8Array, key: string): string {
  try {
    return utf8.decode(value);
  } catch {
    throw unsupported(
      "config.envs",
      `has a value of ${quote(key)} that is not UTF-8, which Docker does not support`,
    );
  }
}
