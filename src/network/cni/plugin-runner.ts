import { setTimeout as delay } from "node:timers/promises";
import { ShimError } from "../../base/index.js";
import type { Host, HostCommandResult } from "../../host/index.js";
import { formatArgs, type Attachment } from "./attachment.js";
import { excerpt, isStringArray, parseObject, type JsonObject } from "./json.js";
import {
  failureOf,
  name,
  notRun,
  PluginFailure,
  unknownContainer,
  type PluginRun,
  type Verb,
} from "./plugin-failure.js";
import { newestVersion } from "./versions.js";

/** Results are a few kilobytes. */
const maxOutputBytes = 4 * 1024 * 1024;

/** Shorter deadlines, in milliseconds, of verbs that other work waits for. */
const verbLimitsMs: Partial<Record<Verb, number>> = {
  VERSION: 10_000,
  STATUS: 10_000,
  CHECK: 10_000,
  GC: 30_000,
};

/** A plugin that is being replaced on disk cannot be started for a short time. */
const busyRetries = 5;
const busyDelayMs = 300;

export interface RunOptions {
  readonly request: JsonObject;
  readonly attachment?: Attachment;
  readonly signal?: AbortSignal | undefined;
}

/** Finds plugins and runs them. @see CNI SPEC, section 2, "Execution protocol" */
export class PluginRunner {
  /** @param timeoutMs The limit of one run of one plugin. */
  constructor(
    private readonly host: Host,
    private readonly binDirs: readonly string[],
    private readonly timeoutMs: number,
  ) {}

  /**
   * Finds a plugin's program in the plugin folders.
   * @throws ShimError "failed-precondition" when none has it.
   */
  async find(type: string): Promise<string> {
    const { host, binDirs } = this;
    for (const directory of binDirs) {
      const path = await host.files.realPath(`${directory}/${type}`).catch(() => undefined);
      if (path !== undefined && (await host.files.kindOf(path)) === "file") return `${directory}/${type}`;
    }
    throw new ShimError(
      "failed-precondition",
      `CNI plugin ${type} is not in ${binDirs.join(", ")}: install it there, or add its directory to --cni-bin-dir`,
      { operation: "network.plugin" },
    );
  }

  /**
   * Asks a plugin for the versions that it supports.
   * @throws ShimError when there is no such plugin, or its answer is not valid.
   */
  async versions(type: string, signal?: AbortSignal): Promise<readonly string[]> {
    const path = await this.find(type);
    const run: PluginRun = { type, verb: "VERSION", networkName: "any" };
    const result = await this.execute(path, run, { request: { cniVersion: newestVersion }, signal });
    const versions = parseObject(result.stdout.toString())?.["supportedVersions"];
    const failure = failureOf(run, result);
    // A plugin from before VERSION does not know the command.
    if (failure?.code === 4) return ["0.1.0"];
    if (failure) throw failure;
    if (!isStringArray(versions)) throw senseless(run, result);
    return versions;
  }

  /** Runs ADD. @returns The plugin's output, an unchecked object. @throws ShimError. */
  async add(run: PluginRun, options: RunOptions): Promise<JsonObject> {
    const result = await this.succeed(run, options);
    const body = parseObject(result.stdout.toString());
    if (!body) throw senseless(run, result);
    return body;
  }

  /** Runs a verb without a result. Output other than an error is ignored. @throws ShimError. */
  async run(run: PluginRun, options: RunOptions): Promise<void> {
    try {
      await this.succeed(run, options);
    } catch (error) {
      const gone = error instanceof PluginFailure && error.code === unknownContainer;
      if (run.verb !== "DEL" || !gone) throw error;
    }
  }

  /**
   * Kills the plugins of these pods that an earlier process left running: they would continue after a later DEL.
   * @returns How many processes were killed.
   */
  async killLeftRunning(podIds: ReadonlySet<string>): Promise<number> {
    if (podIds.size === 0) return 0;
    const { host, binDirs } = this;
    return await host.processes.killWhere((environment) => worksFor(podIds, binDirs, environment));
  }

  private async succeed(run: PluginRun, options: RunOptions): Promise<HostCommandResult> {
    const result = await this.execute(await this.find(run.type), run, options);
    const failure = failureOf(run, result);
    if (failure) throw failure;
    return result;
  }

  private async execute(file: string, run: PluginRun, options: RunOptions): Promise<HostCommandResult> {
    const { host, binDirs, timeoutMs } = this;
    const deadlineMs = Math.min(timeoutMs, verbLimitsMs[run.verb] ?? timeoutMs);
    for (let attempt = 1; ; attempt++) {
      try {
        return await host.processes.run({
          file,
          args: [],
          env: pluginEnvironment(run.verb, binDirs, options.attachment),
          input: JSON.stringify(options.request),
          deadlineMs,
          signal: options.signal,
          maxOutputBytes,
        });
      } catch (error) {
        if (attempt > busyRetries || !isBusy(error)) throw notRun(run, error);
        await delay(busyDelayMs);
      }
    }
  }
}

function senseless(run: PluginRun, result: HostCommandResult): ShimError {
  const printed = excerpt(result.stdout.toString("utf8", 0, 4_000));
  return new ShimError(
    "internal",
    `${name(run)} exited with code 0, but ${printed === "" ? "printed nothing" : `its output is not valid: ${printed}`}. ` +
      "Check that the program in the plugin directory is this plugin and is complete",
    { operation: "network.plugin" },
  );
}

/** `ETXTBSY`: the program is being written. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ETXTBSY";
}

const standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The whole environment of a plugin. */
function pluginEnvironment(
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
    // Plugins call ip, iptables, tc. The system's folders come first, because some plugins have such names.
    PATH: `${standardPath}:${cniPath}`,
  };
}

/** True for the environment of a plugin that runs for one of these pods, or of its children. */
function worksFor(
  podIds: ReadonlySet<string>,
  binDirs: readonly string[],
  environment: ReadonlyMap<string, string>,
): boolean {
  return (
    environment.get("CNI_PATH") === binDirs.join(":") && podIds.has(environment.get("CNI_CONTAINERID") ?? "")
  );
}
