import { messageOf, type Logger } from "../../base/index.js";
import type { HostFiles, HostWatch } from "../../host/index.js";
import { ConfigFolder, type FolderLook } from "./config-folder.js";
import type { ListRunner } from "./list-runner.js";
import type { NetworkList } from "./network-config.js";
import type { PluginRunner } from "./plugin-runner.js";

export interface NetworkSourceOptions {
  readonly files: HostFiles;
  readonly directory: string;
  readonly plugins: PluginRunner;
  readonly lists: ListRunner;
  /** How often the folder is read in any case, in milliseconds. */
  readonly intervalMs: number;
  readonly log: Logger;
}

/** Writing one file causes several events. */
const settleMs = 100;

const notReadYet: FolderLook = {
  network: undefined,
  loopback: undefined,
  file: undefined,
  problems: ["it has not been read yet"],
};

/** Finds the network that pods join now, and asks its plugins for their status. */
export class NetworkSource {
  private readonly folder: ConfigFolder;
  private readonly closing = new AbortController();
  private found: FolderLook = notReadYet;
  /** The result of STATUS, and the configuration that it is for. */
  private pluginStatus: { readonly network: string; readonly problem: string | undefined } | undefined;
  private looking: Promise<void> | undefined;
  private lookAgain = false;
  private watch: HostWatch | undefined;
  private watching: Promise<void> = Promise.resolve();
  private interval: NodeJS.Timeout | undefined;
  private settling: NodeJS.Timeout | undefined;

  constructor(private readonly options: NetworkSourceOptions) {
    this.folder = new ConfigFolder(options.files, options.directory, options.plugins);
  }

  async start(): Promise<void> {
    this.interval = setInterval(() => {
      if (!this.watch) this.renewWatch();
      void this.look();
    }, this.options.intervalMs);
    this.interval.unref();
    this.renewWatch();
    await this.watching;
    await this.look();
  }

  async close(): Promise<void> {
    this.closing.abort();
    clearInterval(this.interval);
    clearTimeout(this.settling);
    await this.watching;
    this.watch?.close();
    await this.looking;
  }

  /** The network that pods join; undefined when there is none. */
  get network(): NetworkList | undefined {
    return this.found.network;
  }

  /** The network that brings up `lo`; it exists whenever {@link NetworkSource.network} does. */
  get loopback(): NetworkList | undefined {
    return this.found.loopback;
  }

  /** Why there is no network; undefined when there is one. */
  get problem(): string | undefined {
    if (this.found.network) return undefined;
    return `cni config uninitialized: ${this.options.directory}: ${this.found.problems.join("; ")}`;
  }

  /** Why the network's plugins cannot take pods; undefined when they can, or are too old for STATUS. */
  get pluginProblem(): string | undefined {
    const { network } = this.found;
    if (!network) return undefined;
    return this.pluginStatus?.network === fingerprint(network)
      ? this.pluginStatus.problem
      : "its plugins have not been checked yet";
  }

  /** Reads the folder and asks the plugins. During a run another one is queued, because that run may miss a change. */
  look(): Promise<void> {
    this.lookAgain = true;
    this.looking ??= this.lookUntilCurrent().finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }

  private async lookUntilCurrent(): Promise<void> {
    const { signal } = this.closing;
    while (this.lookAgain && !this.isClosed()) {
      this.lookAgain = false;
      const before = this.found;
      const now = await this.folder.look(signal).catch((error: unknown) => this.readFailed(error));
      if (this.isClosed()) return;
      this.found = now;
      if (describe(before) !== describe(now)) this.logFound(now);
      if (now.network) await this.askStatus(now.network);
    }
  }

  /** Keeps the network: the next run, a few seconds later, finds the changes. */
  private readFailed(error: unknown): FolderLook {
    const { log, directory } = this.options;
    log.warn({ directory, err: messageOf(error) }, "could not read the CNI configurations, trying again");
    return this.found === notReadYet ? { ...notReadYet, problems: [messageOf(error)] } : this.found;
  }

  private isClosed(): boolean {
    return this.closing.signal.aborted;
  }

  private async askStatus(network: NetworkList): Promise<void> {
    const { signal } = this.closing;
    const problem = await this.options.lists.status(network, { signal }).then(() => undefined, messageOf);
    if (this.isClosed()) return;
    const before = this.pluginStatus?.problem;
    this.pluginStatus = { network: fingerprint(network), problem };
    if (problem !== undefined && problem !== before)
      this.options.log.warn({ network: network.name, err: problem }, "the CNI network is not ready");
  }

  private logFound({ network, file, problems }: FolderLook): void {
    const { log, directory } = this.options;
    if (!network) log.warn({ directory, problems }, "no valid CNI configuration found");
    else {
      const what = { network: network.name, file, version: network.version, skipped: problems };
      log.info(what, "CNI network found");
    }
  }

  /** Renews the watch of the folder, which may be missing, or may have been replaced. */
  private renewWatch(): void {
    this.watching = this.watching.then(async () => {
      this.watch?.close();
      this.watch = undefined;
      if (this.isClosed()) return;
      const { files, directory, log } = this.options;
      try {
        this.watch = await files.watch(directory, () => {
          this.folderChanged();
        });
      } catch (error) {
        // The folder is missing, or the node has too many watches: changes are found by polling.
        log.debug({ directory, err: messageOf(error) }, "this folder cannot be watched now");
      }
    });
  }

  private folderChanged(): void {
    if (this.isClosed()) return;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      this.renewWatch();
      void this.look();
    }, settleMs);
    this.settling.unref();
  }
}

function describe(look: FolderLook): string {
  return JSON.stringify([look.network && fingerprint(look.network), look.file, look.problems]);
}

function fingerprint({ name, version, disableCheck, disableGc, plugins }: NetworkList): string {
  return JSON.stringify([name, version, disableCheck, disableGc, plugins.map(({ raw }) => raw)]);
}
