import { ShimError } from "../../base/index.js";
import { isObject, isStringArray, parseObject, type JsonObject } from "./json.js";
import type { CniVersion } from "./versions.js";

/** A network configuration as an administrator, or a cache entry, wrote it. */
export interface NetworkConfig {
  readonly name: string;
  /** `cniVersion` and `cniVersions` together, unchecked. */
  readonly versions: readonly string[];
  readonly disableCheck: boolean;
  readonly disableGc: boolean;
  readonly loadOnlyInlinedPlugins: boolean;
  readonly plugins: readonly PluginConfig[];
}

/** A network configuration that is ready to run: its version is chosen and its plugins are complete. */
export interface NetworkList {
  readonly name: string;
  readonly version: CniVersion;
  readonly disableCheck: boolean;
  readonly disableGc: boolean;
  readonly plugins: readonly PluginConfig[];
}

/** The name of the network that brings up `lo`, the same as cri-dockerd's. */
export const loopbackNetwork = "cni-loopback";

/** The configuration of one plugin. */
export interface PluginConfig {
  readonly type: string;
  /** The capabilities that it declares. */
  readonly capabilities: ReadonlySet<string>;
  /** The whole object, whose other fields are passed on unchanged. */
  readonly raw: JsonObject;
}

/**
 * Reads a configuration list (`.conflist`).
 * @throws ShimError "failed-precondition" when it is not valid.
 * @see CNI SPEC, section 1
 */
export function parseConfigList(text: string): NetworkConfig {
  const list = parse(text);
  const loadOnlyInlinedPlugins = readFlag(list, "loadOnlyInlinedPlugins");
  const { plugins } = list;
  if (plugins === undefined && loadOnlyInlinedPlugins) {
    throw invalid("loadOnlyInlinedPlugins is true, but the file has no plugins");
  }
  if (plugins !== undefined && (!Array.isArray(plugins) || plugins.length === 0)) {
    throw invalid('"plugins" must be a list with at least one plugin');
  }
  return {
    name: readName(list),
    versions: readVersions(list),
    disableCheck: readFlag(list, "disableCheck"),
    disableGc: readFlag(list, "disableGC"),
    loadOnlyInlinedPlugins,
    plugins: (plugins ?? []).map(readPlugin),
  };
}

/**
 * Reads a configuration of a single plugin (`.conf`, `.json`), the form before version 1.0.0.
 * @throws ShimError "failed-precondition" when it is not valid.
 */
export function parseSingleConfig(text: string): NetworkConfig {
  const raw = parse(text);
  if (raw["type"] === undefined && raw["plugins"] !== undefined) {
    throw invalid("it is a list of plugins: its name must end in .conflist");
  }
  return {
    name: readName(raw),
    versions: readVersions(raw),
    disableCheck: false,
    disableGc: false,
    loadOnlyInlinedPlugins: true,
    plugins: [readPlugin(raw)],
  };
}

/** Reads a plugin's own file from the folder beside a list. */
export function parsePluginConfig(text: string): PluginConfig {
  return readPlugin(parse(text));
}

/** The text of a list with all of its plugins, for the result cache. */
export function formatList(list: NetworkList): string {
  return JSON.stringify({
    cniVersion: list.version,
    name: list.name,
    ...(list.disableCheck && { disableCheck: true }),
    ...(list.disableGc && { disableGC: true }),
    plugins: list.plugins.map(({ raw }) => raw),
  });
}

/** The form of network names and container ids. */
export const namePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

function parse(text: string): JsonObject {
  const object = parseObject(text);
  if (!object) throw invalid("it is not a JSON object");
  return object;
}

function readName(config: JsonObject): string {
  const { name } = config;
  // 128: the name becomes part of a file's name in the result cache, beside a container id.
  if (typeof name === "string" && name.length <= 128 && namePattern.test(name)) return name;
  throw invalid(
    '"name" must be a string of letters, digits, "_", "." and "-" that starts with a letter or digit',
  );
}

function readVersions({ cniVersion, cniVersions }: JsonObject): string[] {
  if (cniVersion !== undefined && typeof cniVersion !== "string")
    throw invalid('"cniVersion" must be a string');
  if (cniVersions !== undefined && !isStringArray(cniVersions)) {
    throw invalid('"cniVersions" must be a list of strings');
  }
  return [...new Set([...(cniVersion ? [cniVersion] : []), ...(cniVersions ?? [])])];
}

/** Flags are written as texts, too, in the wild. */
function readFlag(config: JsonObject, key: string): boolean {
  const value = config[key] ?? false;
  if (typeof value === "boolean") return value;
  const text = typeof value === "string" ? value.toLowerCase() : "";
  if (text !== "true" && text !== "false") throw invalid(`"${key}" must be true or false`);
  return text === "true";
}

function readPlugin(raw: unknown): PluginConfig {
  if (!isObject(raw)) throw invalid("a plugin must be an object");
  const { type, capabilities = {} } = raw;
  if (typeof type !== "string" || type === "") throw invalid('a plugin has no "type"');
  if (/[/\\\0]/.test(type) || type === "." || type === "..") {
    throw invalid(`plugin type ${JSON.stringify(type.slice(0, 100))} is not the name of a program`);
  }
  if (!isObject(capabilities)) throw invalid(`"capabilities" of plugin ${type} must be an object`);
  const declared = Object.entries(capabilities).flatMap(([key, value]) => (value === true ? [key] : []));
  return { type, capabilities: new Set(declared), raw };
}

function invalid(message: string): ShimError {
  return new ShimError("failed-precondition", message, { operation: "network.configuration" });
}
