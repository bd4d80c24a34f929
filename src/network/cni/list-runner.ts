import { messageOf, ShimError } from "../../base/index.js";
import type { Attachment } from "./attachment.js";
import { isObject, type JsonObject } from "./json.js";
import type { NetworkList, PluginConfig } from "./network-config.js";
import type { PluginRunner } from "./plugin-runner.js";
import { attachmentRequest, gcRequest, statusRequest, type ValidAttachment, type Verb } from "./request.js";
import { readResult, type CniResult } from "./result.js";
import { atLeast } from "./versions.js";

export interface ListCallOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs the plugins of a network in their order.
 * @see CNI SPEC, section 3
 */
export class ListRunner {
  constructor(private readonly plugins: PluginRunner) {}

  /** Runs ADD of every plugin with the result of the one before. @returns The last result. @throws ShimError. */
  async add(list: NetworkList, attachment: Attachment, { signal }: ListCallOptions = {}): Promise<CniResult> {
    let result: CniResult | undefined;
    for (const plugin of list.plugins) {
      const request = attachmentRequest(list, plugin, attachment, result);
      const raw = await this.plugins.add(runOf(list, plugin, "ADD"), { request, attachment, signal });
      try {
        result = readResult(raw, list.version);
      } catch (error) {
        throw new ShimError("internal", `CNI plugin ${plugin.type}: ${messageOf(error)}`, {
          operation: "network.plugin",
          cause: error,
        });
      }
    }
    if (result) return result;
    throw new ShimError("failed-precondition", `network ${list.name} has no plugins`, {
      operation: "network.plugin",
    });
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
    options: ListCallOptions = {},
  ): Promise<void> {
    for (const plugin of list.plugins.toReversed())
      await this.deleteOne(list, plugin, attachment, result, options);
  }

  /**
   * Runs DEL as {@link ListRunner.delete} does, but past every failure: after a failed ADD there may be no retry.
   * @returns The failures.
   */
  async undo(list: NetworkList, attachment: Attachment): Promise<unknown[]> {
    const failures: unknown[] = [];
    for (const plugin of list.plugins.toReversed()) {
      await this.deleteOne(list, plugin, attachment, undefined, {}).catch((error: unknown) => {
        failures.push(error);
      });
    }
    return failures;
  }

  /** Runs CHECK of every plugin. @throws ShimError. */
  async check(
    list: NetworkList,
    attachment: Attachment,
    result: JsonObject,
    options: ListCallOptions,
  ): Promise<void> {
    if (!atLeast(list.version, "0.4.0")) {
      throw new ShimError(
        "unsupported",
        `network ${list.name} has cniVersion ${list.version}: CHECK came with 0.4.0`,
        { operation: "network.check" },
      );
    }
    if (list.disableCheck) return;
    const expected = withoutHostAddresses(result);
    for (const plugin of list.plugins) {
      const request = attachmentRequest(list, plugin, attachment, expected);
      await this.plugins.run(runOf(list, plugin, "CHECK"), { request, attachment, signal: options.signal });
    }
  }

  /** Runs STATUS of every plugin; nothing before CNI 1.1.0. @throws ShimError. */
  async status(list: NetworkList, options: ListCallOptions): Promise<void> {
    if (!atLeast(list.version, "1.1.0")) return;
    for (const plugin of list.plugins) {
      const request = statusRequest(list, plugin);
      await this.plugins.run(runOf(list, plugin, "STATUS"), { request, signal: options.signal });
    }
  }

  /**
   * Runs GC of every plugin, past every failure; nothing before CNI 1.1.0.
   * @returns The failures.
   */
  async gc(
    list: NetworkList,
    valid: readonly ValidAttachment[],
    options: ListCallOptions,
  ): Promise<unknown[]> {
    const failures: unknown[] = [];
    if (!atLeast(list.version, "1.1.0")) return failures;
    for (const plugin of list.plugins) {
      const request = gcRequest(list, plugin, valid);
      await this.plugins
        .run(runOf(list, plugin, "GC"), { request, signal: options.signal })
        .catch((error: unknown) => {
          failures.push(error);
        });
    }
    return failures;
  }

  private async deleteOne(
    list: NetworkList,
    plugin: PluginConfig,
    attachment: Attachment,
    result: JsonObject | undefined,
    options: ListCallOptions,
  ): Promise<void> {
    const known = atLeast(list.version, "0.4.0") ? result : undefined;
    const request = attachmentRequest(list, plugin, attachment, known);
    await this.plugins.run(runOf(list, plugin, "DEL"), { request, attachment, signal: options.signal });
  }
}

/**
 * A result without the hardware addresses of the node's own interfaces, which change while all is well: udev gives
 * a veth a new one after ADD (MACAddressPolicy), and a bridge takes that of its first port. A pod's own stay.
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
