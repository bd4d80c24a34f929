import { messageOf, ShimError } from "../../base/index.js";
import type { NetworkCallOptions } from "../network.js";
import type { Attachment } from "./attachment.js";
import { isObject, type JsonObject } from "./json.js";
import type { NetworkList, PluginConfig } from "./network-config.js";
import type { Verb } from "./plugin-failure.js";
import type { PluginRunner } from "./plugin-runner.js";
import { readResult, type CniResult } from "./result.js";
import { atLeast } from "./versions.js";

/** An attachment that GC must keep. */
export interface ValidAttachment {
  readonly containerID: string;
  readonly ifname: string;
}

/**
 * Runs the plugins of a network in their order.
 * @see CNI SPEC, section 3
 */
export class ListRunner {
  constructor(private readonly plugins: PluginRunner) {}

  /** Runs ADD of every plugin with the result of the one before. @returns The last result. @throws ShimError. */
  async add(
    list: NetworkList,
    attachment: Attachment,
    { signal }: NetworkCallOptions = {},
  ): Promise<CniResult> {
    let result: CniResult | undefined;
    for (const plugin of list.plugins) {
      const request = attachmentRequest(list, plugin, attachment, result);
      const raw = await this.plugins.add(runOf(list, plugin, "ADD"), { request, attachment, signal });
      try {
        result = readResult(raw, list.version);
      } catch (error) {
        throw failure("internal", `CNI plugin ${plugin.type}: ${messageOf(error)}`, error);
      }
    }
    if (result) return result;
    throw failure("failed-precondition", `network ${list.name} has no plugins`);
  }

  /**
   * Runs DEL from the last plugin to the first, and stops at the first failure.
   * @param result Of ADD, when it is known. Plugins before 0.4.0 do not expect it.
   * @throws ShimError.
   */
  async delete(
    list: NetworkList,
    attachment: Attachment,
    result: JsonObject | undefined,
    options: NetworkCallOptions = {},
  ): Promise<void> {
    const prevResult = atLeast(list.version, "0.4.0") ? result : undefined;
    for (const plugin of list.plugins.toReversed())
      await this.runFor(attachment, list, plugin, "DEL", prevResult, options);
  }

  /**
   * Runs DEL as {@link ListRunner.delete} does, but continues after failures: after a failed ADD there may be no retry.
   * @returns The failures.
   */
  async undo(list: NetworkList, attachment: Attachment): Promise<unknown[]> {
    return collectFailures(list.plugins.toReversed(), (plugin) =>
      this.runFor(attachment, list, plugin, "DEL", undefined, {}),
    );
  }

  /** Runs CHECK of every plugin. @throws ShimError. */
  async check(
    list: NetworkList,
    attachment: Attachment,
    result: JsonObject,
    options: NetworkCallOptions,
  ): Promise<void> {
    if (!atLeast(list.version, "0.4.0")) {
      const text = `network ${list.name} has cniVersion ${list.version}: CHECK needs 0.4.0`;
      throw new ShimError("unsupported", text, { operation: "network.check" });
    }
    if (list.disableCheck) return;
    const expected = withoutHostAddresses(result);
    for (const plugin of list.plugins)
      await this.runFor(attachment, list, plugin, "CHECK", expected, options);
  }

  /** Runs STATUS of every plugin; nothing before CNI 1.1.0. @throws ShimError. */
  async status(list: NetworkList, { signal }: NetworkCallOptions): Promise<void> {
    if (!atLeast(list.version, "1.1.0")) return;
    for (const plugin of list.plugins)
      await this.plugins.run(runOf(list, plugin, "STATUS"), { request: baseRequest(list, plugin), signal });
  }

  /**
   * Runs GC of every plugin and continues after failures; nothing before CNI 1.1.0.
   * @returns The failures.
   */
  async gc(
    list: NetworkList,
    valid: readonly ValidAttachment[],
    { signal }: NetworkCallOptions,
  ): Promise<unknown[]> {
    if (!atLeast(list.version, "1.1.0")) return [];
    // Plugins with an early version of the library read the second key.
    const attachments = { "cni.dev/valid-attachments": valid, "cni.dev/attachments": valid };
    return collectFailures(list.plugins, (plugin) => {
      const request = { ...baseRequest(list, plugin), ...attachments };
      return this.plugins.run(runOf(list, plugin, "GC"), { request, signal });
    });
  }

  private async runFor(
    attachment: Attachment,
    list: NetworkList,
    plugin: PluginConfig,
    verb: Verb,
    prevResult: JsonObject | undefined,
    { signal }: NetworkCallOptions,
  ): Promise<void> {
    const request = attachmentRequest(list, plugin, attachment, prevResult);
    await this.plugins.run(runOf(list, plugin, verb), { request, attachment, signal });
  }
}

async function collectFailures<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<unknown[]> {
  const failures: unknown[] = [];
  for (const item of items) await work(item).catch((error: unknown) => failures.push(error));
  return failures;
}

/**
 * The configuration that a plugin reads for ADD, CHECK and DEL.
 * @see CNI SPEC, "Deriving request configuration from plugin configuration"
 */
function attachmentRequest(
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

function baseRequest(list: NetworkList, plugin: PluginConfig): JsonObject {
  const own = Object.entries(plugin.raw).filter(([key]) => !key.startsWith("cni.dev/"));
  return { ...Object.fromEntries(own), cniVersion: list.version, name: list.name };
}

/**
 * A result without the hardware addresses of the node's interfaces, which change in normal operation: udev gives a veth
 * a new one after ADD (MACAddressPolicy), and a bridge has that of its first port. The pod's interfaces keep theirs.
 */
function withoutHostAddresses(result: JsonObject): JsonObject {
  const { interfaces } = result;
  if (!Array.isArray(interfaces)) return result;
  const expected = interfaces.map((each: unknown) => {
    if (!isObject(each) || each["sandbox"]) return each;
    const { mac: _mac, ...rest } = each;
    return rest;
  });
  return { ...result, interfaces: expected };
}

function runOf(list: NetworkList, { type }: PluginConfig, verb: Verb) {
  return { type, verb, networkName: list.name };
}

function failure(kind: "internal" | "failed-precondition", message: string, cause?: unknown): ShimError {
  return new ShimError(kind, message, { operation: "network.plugin", cause });
}
