import { fileFailure, isPassingFailure, messageOf, type Logger } from "../../base/index.js";
import { removeTemporaries, type HostFiles } from "../../host/index.js";
import type { CniArg } from "./attachment.js";
import { isObject, parseObject, type JsonObject } from "./json.js";
import { namePattern } from "./network-config.js";

/** Everything about a connection that its end will need. */
export interface CachedAttachment {
  readonly networkName: string;
  readonly containerId: string;
  readonly ifName: string;
  readonly args: readonly CniArg[];
  readonly capabilityArgs: JsonObject;
  /** The path of the namespace at the time of ADD. It may name somebody else's by now. */
  readonly netns: string;
  /** The text of the configuration list that ADD used. */
  readonly config: string;
  /** What ADD answered; undefined while it has not. */
  readonly result: JsonObject | undefined;
}

export type AttachmentKey = Pick<CachedAttachment, "networkName" | "containerId" | "ifName">;

/** What the cache holds: attachments, and names of files that nobody can read any more. */
export interface CacheListing {
  readonly attachments: readonly CachedAttachment[];
  readonly unreadable: readonly string[];
}

const kind = "cniCacheV1";
/** A configuration of 1 MiB, in base64, and a plugin's answer of 4 MiB fit in. */
const maxEntryBytes = 16 * 1024 * 1024;

/**
 * Connections on disk, in libcni's format, so that they can be ended after a restart, by us or by another
 * runtime that took the node over.
 * @see libcni, api.go, `cachedInfo`
 */
export class ResultCache {
  private readonly folder: string;

  constructor(
    private readonly files: HostFiles,
    cacheDir: string,
    private readonly log: Logger,
  ) {
    this.folder = `${cacheDir}/results`;
  }

  /** Makes the folder and removes what a crash in the middle of a write left in it. */
  async start(): Promise<void> {
    await this.files.makeDirectory(this.folder, { mode: 0o700 });
    await removeTemporaries(this.files, this.folder, () => true);
  }

  async write(entry: CachedAttachment): Promise<void> {
    const { containerId, ifName, networkName, netns, args, capabilityArgs, result } = entry;
    const body = {
      kind,
      containerId,
      config: Buffer.from(entry.config).toString("base64"),
      ifName,
      networkName,
      netns,
      cniArgs: args,
      capabilityArgs,
      ...(result && { result }),
    };
    // Without a result it is there for a crash of this process; one of the machine ends the namespace too.
    const sync = result !== undefined;
    const path = `${this.folder}/${fileOf(entry)}`;
    try {
      await this.files.writeAtomic(path, JSON.stringify(body), { mode: 0o600, sync });
    } catch (error) {
      throw fileFailure(`cannot write the CNI result ${path}`, error, "network.cache");
    }
  }

  async remove(key: AttachmentKey): Promise<void> {
    await this.removeFile(fileOf(key));
  }

  /** Removes a file that a {@link CacheListing} calls unreadable. */
  async removeFile(name: string): Promise<void> {
    await this.files.remove(`${this.folder}/${name}`);
  }

  async read(key: AttachmentKey): Promise<CachedAttachment | undefined> {
    return this.readFile(fileOf(key));
  }

  /** The attachments of one container, or of all. */
  async list(containerId?: string): Promise<CacheListing> {
    const names = (await this.files.list(this.folder)).filter(
      (name) => !name.startsWith(".") && (containerId === undefined || name.includes(`-${containerId}-`)),
    );
    const attachments: CachedAttachment[] = [];
    const unreadable: string[] = [];
    for (const name of names.sort()) {
      const entry = await this.readFile(name);
      if (!entry) unreadable.push(name);
      else if (containerId === undefined || entry.containerId === containerId) attachments.push(entry);
    }
    return { attachments, unreadable };
  }

  private async readFile(name: string): Promise<CachedAttachment | undefined> {
    const path = `${this.folder}/${name}`;
    try {
      if ((await this.files.kindOf(path)) !== "file") return undefined;
      const entry = parseEntry((await this.files.read(path, { maxBytes: maxEntryBytes })).toString());
      // An entry under another's name would end the other's connection.
      if (entry && fileOf(entry) === name) return entry;
      this.log.warn({ path }, "this file in the CNI result cache is not a cached result");
    } catch (error) {
      // Taken for unreadable, the entry would be removed and its network never undone.
      if (isPassingFailure(error))
        throw fileFailure(`cannot read the CNI result ${path}`, error, "network.cache");
      this.log.warn({ path, err: messageOf(error) }, "this file in the CNI result cache cannot be read");
    }
    return undefined;
  }
}

function fileOf({ networkName, containerId, ifName }: AttachmentKey): string {
  return `${networkName}-${containerId}-${ifName}`;
}

function parseEntry(text: string): CachedAttachment | undefined {
  const body = parseObject(text);
  if (body?.["kind"] !== kind) return undefined;
  const { containerId, ifName, networkName, netns = "", config, cniArgs, capabilityArgs, result } = body;
  if (![containerId, ifName, networkName].every((each) => typeof each === "string" && each !== "")) {
    return undefined;
  }
  if (typeof config !== "string" || !namePattern.test(String(containerId))) return undefined;
  return {
    containerId: String(containerId),
    ifName: String(ifName),
    networkName: String(networkName),
    netns: typeof netns === "string" ? netns : "",
    config: Buffer.from(config, "base64").toString(),
    args: Array.isArray(cniArgs) ? cniArgs.filter(isArg) : [],
    capabilityArgs: isObject(capabilityArgs) ? capabilityArgs : {},
    result: isObject(result) ? result : undefined,
  };
}

function isArg(value: unknown): value is CniArg {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === "string");
}
