import { fileFailure, isPassingFailure, messageOf, type Logger } from "../../base/index.js";
import { removeTemporaries, type HostFiles } from "../../host/index.js";
import type { PodIdentity } from "../network.js";
import {
  areArgs,
  loopbackInterface,
  podInterface,
  possiblePodArgs,
  type Attachment,
  type CniArg,
  type PodAttachment,
} from "./attachment.js";
import { HostPorts } from "./host-ports.js";
import { isObject, parseObject, type JsonObject } from "./json.js";
import {
  formatList,
  loopbackNetwork,
  namePattern,
  parseConfigList,
  parseSingleConfig,
  type NetworkConfig,
  type NetworkList,
} from "./network-config.js";
import { addressesOf, readResult, type CniResult } from "./result.js";
import { versionInUse } from "./versions.js";

/** An attachment on disk: all that DEL and CHECK need. */
export interface StoredAttachment extends Attachment {
  /** The network, with the configuration that ADD used. */
  readonly network: NetworkList;
  /** What ADD answered; undefined until it has, or when the stored one is not a valid result. */
  readonly result: JsonObject | undefined;
}

export interface AttachmentListing {
  readonly attachments: readonly StoredAttachment[];
  /** Names of files that hold no attachment. */
  readonly unreadable: readonly string[];
}

/** A file of the store; without an attachment when its network configuration is not valid. */
interface StoredFile {
  readonly containerId: string;
  readonly attachment: StoredAttachment | undefined;
}

const kind = "cniCacheV1";

/** A configuration of 1 MiB, in base64, and a plugin's answer of 4 MiB fit in. */
const maxFileBytes = 16 * 1024 * 1024;

/** How many detached pods are remembered: kubelet stops and removes a pod several times. */
const rememberedPods = 4_096;

/**
 * The attachments of pods, on disk in libcni's format, so that they can be ended after a restart, by docker-cri or by
 * another runtime; their addresses and host ports are in memory too.
 * @see libcni, api.go, `cachedInfo`
 */
export class AttachmentStore {
  private readonly folder: string;
  private readonly ports: HostPorts;
  private readonly ips = new Map<string, readonly string[]>();
  private readonly here = new Set<string>();
  private readonly detached = new Set<string>();

  constructor(
    private readonly files: HostFiles,
    cacheDir: string,
    private readonly log: Logger,
  ) {
    this.folder = `${cacheDir}/results`;
    this.ports = new HostPorts(files);
  }

  /** Makes the folder, removes the temporary files of a crash, and loads what is stored. */
  async start(): Promise<void> {
    await this.files.makeDirectory(this.folder, { mode: 0o700 });
    await removeTemporaries(this.files, this.folder, () => true);
    await this.load();
  }

  /** Reads addresses and host ports anew from disk. */
  async load(): Promise<void> {
    const attachments = await this.mains();
    this.ips.clear();
    this.ports.clear();
    for (const { containerId, netns, capabilityArgs, result } of attachments) {
      this.ports.restore(containerId, netns, capabilityArgs);
      if (result) this.ips.set(containerId, addressesOf(result, podInterface));
    }
  }

  /** Reserves a pod's host ports. @throws ShimError "conflict" when another pod has one of them. */
  async reserve({ containerId, netns, capabilityArgs }: PodAttachment): Promise<void> {
    await this.ports.claim(containerId, netns, capabilityArgs);
    this.detached.delete(containerId);
  }

  /** Marks a pod as attached by this process. */
  attached(podId: string, ips: readonly string[]): void {
    this.here.add(podId);
    this.ips.set(podId, ips);
  }

  /** Marks a pod of which no attachment is left. */
  forget(podId: string): void {
    this.detached.delete(podId);
    this.detached.add(podId);
    const [oldest] = this.detached;
    if (this.detached.size > rememberedPods && oldest !== undefined) this.detached.delete(oldest);
    this.here.delete(podId);
    this.ips.delete(podId);
    this.ports.release(podId);
  }

  isDetached(podId: string): boolean {
    return this.detached.has(podId);
  }

  /** The addresses of a pod; undefined when it is not attached. */
  ipsOf(podId: string): readonly string[] | undefined {
    return this.ips.get(podId);
  }

  /** The pods that this process attached and has not detached. */
  get attachedHere(): Iterable<string> {
    return this.here;
  }

  /** Stores an attachment, without a result before ADD and with it afterwards. */
  async write(network: NetworkList, attachment: Attachment, result?: CniResult): Promise<void> {
    const { containerId, ifName, netns, args, capabilityArgs } = attachment;
    const config = Buffer.from(formatList(network)).toString("base64");
    const body = { kind, containerId, config, ifName, networkName: network.name, netns, cniArgs: args };
    // Without a result it is for a crash of this process: one of the machine ends the namespace too.
    const options = { mode: 0o600, sync: result !== undefined };
    const text = JSON.stringify({ ...body, capabilityArgs, ...(result && { result }) });
    const path = `${this.folder}/${fileName(network.name, attachment)}`;
    try {
      await this.files.writeAtomic(path, text, options);
    } catch (error) {
      throw fileFailure(`cannot write the CNI result ${path}`, error, "network.cache");
    }
  }

  async remove({ name }: NetworkList, attachment: Attachment): Promise<void> {
    await this.removeFile(fileName(name, attachment));
  }

  /** Removes a file of {@link AttachmentListing.unreadable}. */
  async removeFile(name: string): Promise<void> {
    await this.files.remove(`${this.folder}/${name}`);
  }

  /** The attachments of a pod. Arguments that no plugin can have had are replaced. */
  async ofPod(pod: PodIdentity): Promise<AttachmentListing> {
    const { attachments, unreadable } = await this.list(pod.id);
    const possible = attachments.map((each) =>
      areArgs(each.args) ? each : { ...each, args: possiblePodArgs(pod) },
    );
    const endings = [podInterface, loopbackInterface].map((ifName) => `-${pod.id}-${ifName}`);
    const own = unreadable.filter((file) => endings.some((ending) => file.endsWith(ending)));
    return { attachments: possible, unreadable: own };
  }

  /** The attachments of all pods to their main networks. */
  async mains(): Promise<StoredAttachment[]> {
    return (await this.list()).attachments.filter((each) => !isLoopback(each));
  }

  /** The attachments of pods that are not valid and may be ended. */
  async stale(valid: ReadonlySet<string>): Promise<StoredAttachment[]> {
    const { attachments } = await this.list();
    return attachments.filter(({ containerId, network }) => !valid.has(containerId) && !network.disableGc);
  }

  /** The attachments of one container, or of all. */
  async list(containerId?: string): Promise<AttachmentListing> {
    const part = containerId === undefined ? "-" : `-${containerId}-`;
    const names = (await this.files.list(this.folder)).filter((name) => name.includes(part));
    const attachments: StoredAttachment[] = [];
    const unreadable: string[] = [];
    for (const name of names.filter((each) => !each.startsWith(".")).sort()) {
      const file = await this.read(name);
      if (file && (containerId ?? file.containerId) !== file.containerId) continue;
      if (!file?.attachment) unreadable.push(name);
      else if (isOurs(file.attachment)) attachments.push(file.attachment);
    }
    return { attachments, unreadable };
  }

  private async read(name: string): Promise<StoredFile | undefined> {
    const path = `${this.folder}/${name}`;
    try {
      if ((await this.files.kindOf(path)) !== "file") return undefined;
      const file = parseFile(name, (await this.files.read(path, { maxBytes: maxFileBytes })).toString());
      if (file) return file;
      this.log.warn({ path }, "a file in the CNI cache is not a CNI result");
    } catch (error) {
      // If it were treated as unreadable, the file would be removed and its attachment never deleted.
      if (isPassingFailure(error))
        throw fileFailure(`cannot read the CNI result ${path}`, error, "network.cache");
      this.log.warn({ path, err: messageOf(error) }, "could not read a file in the CNI cache");
    }
    return undefined;
  }
}

/** cri-dockerd stores its loopback attachments under the pod's interface. */
export function isLoopback({ network }: StoredAttachment): boolean {
  return network.name === loopbackNetwork;
}

/** Other interfaces were made by plugins that call plugins, which end them themselves. */
function isOurs({ ifName }: StoredAttachment): boolean {
  return ifName === podInterface || ifName === loopbackInterface;
}

function fileName(
  networkName: string,
  { containerId, ifName }: Pick<Attachment, "containerId" | "ifName">,
): string {
  return `${networkName}-${containerId}-${ifName}`;
}

function parseFile(name: string, text: string): StoredFile | undefined {
  const body = parseObject(text);
  if (body?.["kind"] !== kind) return undefined;
  const { containerId, ifName, networkName, netns, config, cniArgs, capabilityArgs, result } = body;
  if (typeof containerId !== "string" || !namePattern.test(containerId)) return undefined;
  if (typeof ifName !== "string" || typeof networkName !== "string" || typeof config !== "string")
    return undefined;
  // A file under the name of another attachment would delete that one.
  if (fileName(networkName, { containerId, ifName }) !== name) return undefined;
  const network = parseNetwork(Buffer.from(config, "base64").toString(), result);
  if (!network || network.name !== networkName) return { containerId, attachment: undefined };
  const attachment = {
    containerId,
    ifName,
    network,
    netns: typeof netns === "string" ? netns : "",
    args: Array.isArray(cniArgs) ? cniArgs.filter(isArg) : [],
    capabilityArgs: isObject(capabilityArgs) ? capabilityArgs : {},
    result: parseResult(result, network),
  };
  return { containerId, attachment };
}

/** Reads a stored configuration; undefined when it is not one. */
function parseNetwork(text: string, result: unknown): NetworkList | undefined {
  const config = attempt(() => parseConfigList(text)) ?? attempt(() => parseSingleConfig(text));
  if (!config || config.plugins.length === 0) return undefined;
  const { name, disableCheck, disableGc, plugins, versions }: NetworkConfig = config;
  const version = versionInUse(versions, isObject(result) ? result["cniVersion"] : undefined);
  return { name, version, disableCheck, disableGc, plugins };
}

function parseResult(result: unknown, { version }: NetworkList): JsonObject | undefined {
  return isObject(result) ? attempt(() => readResult(result, version)) : undefined;
}

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

function isArg(value: unknown): value is CniArg {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === "string");
}
