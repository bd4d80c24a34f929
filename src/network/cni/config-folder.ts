import { isPassingFailure, messageOf } from "../../base/index.js";
import type { HostFiles } from "../../host/index.js";
import {
  parseConfigList,
  parsePluginConfig,
  parseSingleConfig,
  loopbackNetwork,
  type NetworkConfig,
  type NetworkList,
  type PluginConfig,
} from "./network-config.js";
import type { PluginRunner } from "./plugin-runner.js";
import { chooseVersion, newestFirst, type PluginVersions } from "./versions.js";

/** A network configuration is some KiB. */
const maxConfigBytes = 1024 * 1024;

/** The result of reading the configuration folder. */
export interface FolderLook {
  /** The network that pods join; undefined when no file holds a usable one. */
  readonly network: NetworkList | undefined;
  /** The network that brings up `lo`; set whenever `network` is. */
  readonly loopback: NetworkList | undefined;
  /** The file of the network. */
  readonly file: string | undefined;
  /** The problems of the files before it, or of all files. */
  readonly problems: readonly string[];
}

/** The folder of network configurations, and the versions that the plugins named in it support. */
export class ConfigFolder {
  /** By file: the text that the answers belong to, and the answers. Plugins are asked again when the text changes. */
  private readonly answers = new Map<string, { readonly text: string; readonly plugins: PluginVersions[] }>();

  constructor(
    private readonly files: HostFiles,
    private readonly directory: string,
    private readonly runner: PluginRunner,
  ) {}

  /**
   * Finds the first file, by name, that holds a valid configuration whose plugins all exist and speak one of
   * its versions.
   * @throws A transient error that the configurations did not cause, such as too many open files.
   */
  async look(signal: AbortSignal): Promise<FolderLook> {
    const problems: string[] = [];
    try {
      const names = (await this.files.list(this.directory)).filter(isConfigName).sort();
      if (names.length === 0) problems.push("no .conflist, .conf or .json file");
      for (const file of names) {
        const network = await this.load(file, signal).catch((error: unknown) => {
          if (isPassingFailure(error)) throw error;
          problems.push(`${file}: ${messageOf(error)}`);
        });
        if (network) return { network, loopback: await this.loopback(signal), file, problems };
      }
    } catch (error) {
      if (isPassingFailure(error)) throw error;
      problems.push(messageOf(error));
    }
    return { network: undefined, loopback: undefined, file: undefined, problems };
  }

  private async load(file: string, signal: AbortSignal): Promise<NetworkList> {
    const text = await readText(this.files, `${this.directory}/${file}`);
    const config = file.endsWith(".conflist") ? parseConfigList(text) : parseSingleConfig(text);
    const plugins = [...config.plugins, ...(await siblingPlugins(this.files, this.directory, config))];
    if (plugins.length === 0) {
      throw new Error(`it has no plugins, and there are none in ${this.directory}/${config.name}`);
    }
    const { name, disableCheck, disableGc } = config;
    const answers = await this.ask(file, plugins, signal);
    try {
      const version = chooseVersion(config.versions, answers);
      return { name, version, disableCheck, disableGc, plugins };
    } catch (error) {
      // The plugins may be replaced by ones that support it.
      this.answers.delete(file);
      throw error;
    }
  }

  /** The loopback network at the newest version that its plugin supports. */
  private async loopback(signal: AbortSignal): Promise<NetworkList> {
    const plugin = parsePluginConfig('{"type":"loopback"}');
    const [asked] = await this.ask("", [plugin], signal);
    const [version = "0.1.0"] = newestFirst(asked?.versions ?? []);
    return { name: loopbackNetwork, version, disableCheck: false, disableGc: false, plugins: [plugin] };
  }

  /** The versions that each plugin supports. @throws ShimError when one does not exist or does not answer. */
  private async ask(
    file: string,
    plugins: readonly PluginConfig[],
    signal: AbortSignal,
  ): Promise<PluginVersions[]> {
    const types = [...new Set(plugins.map(({ type }) => type))];
    const text = JSON.stringify(plugins.map(({ raw }) => raw));
    if (text.length > maxConfigBytes) throw new Error(`its plugins take more than ${maxConfigBytes} bytes`);
    const known = this.answers.get(file);
    if (known?.text === text) {
      await Promise.all(types.map((type) => this.runner.find(type)));
      return known.plugins;
    }
    const asked = await Promise.all(
      types.map(async (type) => ({ type, versions: await this.runner.versions(type, signal) })),
    );
    this.answers.set(file, { text, plugins: asked });
    return asked;
  }
}

/**
 * The plugins in their own files, in the folder with the network's name.
 * @see CNI SPEC, "loadOnlyInlinedPlugins"
 */
async function siblingPlugins(
  files: HostFiles,
  directory: string,
  config: NetworkConfig,
): Promise<PluginConfig[]> {
  if (config.loadOnlyInlinedPlugins) return [];
  const folder = `${directory}/${config.name}`;
  if ((await files.kindOf(folder)) !== "directory") return [];
  const names = (await files.list(folder)).filter((name) => name.endsWith(".conf")).sort();
  return Promise.all(
    names.map(async (name) => parsePluginConfig(await readText(files, `${folder}/${name}`))),
  );
}

async function readText(files: HostFiles, path: string): Promise<string> {
  return (await files.read(path, { maxBytes: maxConfigBytes })).toString();
}

function isConfigName(name: string): boolean {
  return /\.(conflist|conf|json)$/.test(name);
}
