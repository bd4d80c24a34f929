import type { NetworkList, PluginConfig } from "./network-config.js";
import { formatArgs, type Attachment } from "./attachment.js";
import type { JsonObject } from "./json.js";

/** What a plugin is asked to do. */
export type Verb = "ADD" | "CHECK" | "DEL" | "STATUS" | "GC" | "VERSION";

/** A container's right to what it holds in a network. */
export interface ValidAttachment {
  readonly containerID: string;
  readonly ifname: string;
}

/**
 * The configuration that a plugin reads for ADD, CHECK and DEL.
 * @see CNI SPEC, "Deriving request configuration from plugin configuration"
 */
export function attachmentRequest(
  list: NetworkList,
  plugin: PluginConfig,
  attachment: Attachment,
  prevResult: JsonObject | undefined,
): JsonObject {
  const { capabilities: _capabilities, prevResult: _prevResult, ...rest } = baseRequest(list, plugin);
  const runtimeConfig = Object.fromEntries(
    Object.entries(attachment.capabilityArgs).filter(([capability]) => plugin.capabilities.has(capability)),
  );
  return {
    ...rest,
    ...(Object.keys(runtimeConfig).length > 0 && { runtimeConfig }),
    ...(prevResult && { prevResult }),
  };
}

/** The configuration that a plugin reads for STATUS. */
export function statusRequest(list: NetworkList, plugin: PluginConfig): JsonObject {
  return baseRequest(list, plugin);
}

/** The configuration that a plugin reads for GC. */
export function gcRequest(
  list: NetworkList,
  plugin: PluginConfig,
  valid: readonly ValidAttachment[],
): JsonObject {
  return {
    ...baseRequest(list, plugin),
    "cni.dev/valid-attachments": valid,
    // Plugins built with an early library read this key.
    "cni.dev/attachments": valid,
  };
}

function baseRequest(list: NetworkList, plugin: PluginConfig): JsonObject {
  const own = Object.entries(plugin.raw).filter(([key]) => !key.startsWith("cni.dev/"));
  return { ...Object.fromEntries(own), cniVersion: list.version, name: list.name };
}

const standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The whole environment of a plugin. */
export function pluginEnvironment(
  verb: Verb,
  binDirs: readonly string[],
  attachment?: Attachment,
): Record<string, string> {
  const cniPath = binDirs.join(":");
  return {
    CNI_COMMAND: verb,
    ...(attachment && {
      CNI_CONTAINERID: attachment.containerId,
      CNI_NETNS: attachment.netns,
      CNI_IFNAME: attachment.ifName,
      CNI_ARGS: formatArgs(attachment.args),
    }),
    CNI_PATH: cniPath,
    // Plugins call ip, iptables, tc. The system's come first: there are plugins named like them.
    PATH: `${standardPath}:${cniPath}`,
  };
}

/** True for a process with {@link pluginEnvironment}: a plugin that works for one of these pods, or what it started. */
export function worksFor(
  podIds: ReadonlySet<string>,
  binDirs: readonly string[],
  environment: ReadonlyMap<string, string>,
): boolean {
  return (
    environment.get("CNI_PATH") === binDirs.join(":") && podIds.has(environment.get("CNI_CONTAINERID") ?? "")
  );
}
