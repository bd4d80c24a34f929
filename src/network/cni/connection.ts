import type { JsonObject } from "./json.js";
import {
  parseConfigList,
  parseSingleConfig,
  type NetworkConfig,
  type NetworkList,
} from "./network-config.js";
import type { CachedAttachment } from "./result-cache.js";
import { readResult } from "./result.js";
import { versionInUse } from "./versions.js";

/** A connection on record, ready to be checked or ended with the configuration that made it. */
export interface Connection {
  readonly entry: CachedAttachment;
  readonly list: NetworkList;
  /** What ADD answered; undefined when it has not, or what is on record makes no sense. */
  readonly result: JsonObject | undefined;
}

/** Reads the configuration on record; undefined when it is not one. */
export function connectionOf(entry: CachedAttachment): Connection | undefined {
  const config = configOf(entry.config);
  if (config?.name !== entry.networkName || config.plugins.length === 0) return undefined;
  const version = versionInUse(config.versions, entry.result?.["cniVersion"]);
  const { name, disableCheck, disableGc, plugins } = config;
  const list = { name, version, disableCheck, disableGc, plugins };
  return { entry, list, result: resultOf(entry, list) };
}

function configOf(text: string): NetworkConfig | undefined {
  for (const parse of [parseConfigList, parseSingleConfig]) {
    try {
      return parse(text);
    } catch {
      // It may be of the other form; when it is of neither, there is no configuration.
    }
  }
  return undefined;
}

function resultOf({ result }: CachedAttachment, { version }: NetworkList): JsonObject | undefined {
  try {
    return result && readResult(result, version);
  } catch {
    return undefined;
  }
}
