import { messageOf, type Logger } from "../../base/index.js";
import type { HostFiles } from "../../host/index.js";
import { ConfigFolder, type FolderLook } from "./config-folder.js";
import { FolderWatch } from "./folder-watch.js";
import type { ListRunner } from "./list-runner.js";
import type { NetworkList } from "./network-config.js";
import type { PluginRunner } from "./plugin-runner.js";

export interface NetworkSourceOptions {
  readonly files: HostFiles;
  readonly directory: string;
  readonly plugins: PluginRunner;
  readonly lists: ListRunner;
  readonly intervalMs: number;
  readonly log: Logger;
}

const notLookedAt: FolderLook = {
  network: undefined,
  loopback: undefined,
  file: undefined,
  problems: ["it was not looked at yet"],
};

/** Knows the network that pods join now, and whether its plugins say that they can take them. */
export class NetworkSource {
  private readonly folder: ConfigFolder;
  private readonly watch: FolderWatch;
  private found: FolderLook = notLookedAt;
  private readonly closing = new AbortController();
  private looking: Promise<void> | undefined;
  private lookAgain = false;
  /** What a plugin answered to STATUS, and for which configuration. */
  private refusal: { readonly network: string; readonly message: string | undefined } | undefined;

  constructor(private readonly options: NetworkSourceOptions) {
    this.folder = new ConfigFolder(options.files, options.directory, options.plugins);
    this.watch = new FolderWatch({
      files: options.files,
      directory: options.directory,
      intervalMs: options.intervalMs,
      log: options.log,
      look: () => void this.look(),
    });
  }

  async start(): Promise<void> {
    await this.watch.start();
    await this.look();
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.watch.close();
    await this.looking;
  }

  /** The network that pods join; undefined when there is none. */
  get network(): NetworkList | undefined {
    return this.found.network;
  }

  /** The network that brings up `lo`; it is there whenever {@link NetworkSource.network} is. */
  get loopback(): NetworkList | undefined {
    return this.found.loopback;
  }

  /** Why there is no network; undefined when there is one. */
  get problem(): string | undefined {
    if (this.found.network) return undefined;
    return `cni config uninitialized: ${this.options.directory}: ${this.found.problems.join("; ")}`;
  }

  /** Why the network's plugins cannot take pods; undefined when they said that they can, or cannot be asked. */
  get pluginProblem(): string | undefined {
    const { network } = this.found;
    if (!network) return undefined;
    return this.refusal?.network === fingerprint(network)
      ? this.refusal.message
      : "its plugins were not asked yet";
  }

  /** Reads the folder and asks the plugins, again if a look is under way that may have missed something. */
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
      const now = await this.folder.look(signal).catch((error: unknown) => this.withoutLook(error));
      if (this.isClosed()) return;
      this.found = now;
      if (describe(before) !== describe(now)) this.tell(now);
      if (now.network) await this.askPlugins(now.network);
    }
  }

  /** The network stays what it was: the next look, a few seconds later, finds what has changed. */
  private withoutLook(error: unknown): FolderLook {
    const { log, directory } = this.options;
    log.warn({ directory, err: messageOf(error) }, "could not read the CNI configurations; trying again");
    return this.found === notLookedAt ? { ...notLookedAt, problems: [messageOf(error)] } : this.found;
  }

  private isClosed(): boolean {
    return this.closing.signal.aborted;
  }

  private async askPlugins(network: NetworkList): Promise<void> {
    const { signal } = this.closing;
    const message = await this.options.lists.status(network, { signal }).then(() => undefined, messageOf);
    if (this.isClosed()) return;
    const before = this.refusal?.message;
    this.refusal = { network: fingerprint(network), message };
    if (message !== undefined && message !== before) {
      this.options.log.warn({ network: network.name, err: message }, "the CNI network is not ready");
    }
  }

  private tell({ network, file, problems }: FolderLook): void {
    const { log, directory } = this.options;
    if (network) {
      log.info(
        { network: network.name, file, version: network.version, skipped: problems },
        "CNI network found",
      );
    } else log.warn({ directory, problems }, "no CNI network can be used");
  }
}

function describe(look: FolderLook): string {
  return JSON.stringify([look.network && fingerprint(look.network), look.file, look.problems]);
}

function fingerprint({ name, version, disableCheck, disableGc, plugins }: NetworkList): string {
  return JSON.stringify([name, version, disableCheck, disableGc, plugins.map(({ raw }) => raw)]);
}
