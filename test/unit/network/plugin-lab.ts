import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import assert from "node:assert/strict";
import { pino } from "pino";
import { parseConfig } from "../../../src/config/index.js";
import type { Host, HostFiles, HostNamespaces } from "../../../src/host/index.js";
import { fileError, type ReadFileOptions } from "../../../src/base/index.js";
import { NodeFiles } from "../../../src/drivers/node/files.js";
import { NodeHost } from "../../../src/drivers/node/index.js";
import { CniNetwork, type PodToAttach } from "../../../src/network/index.js";

/** One run of a plugin, as the plugin saw it. */
export interface Call {
  readonly type: string;
  readonly verb: string;
  readonly env: Readonly<Record<string, string>>;
  readonly request: Record<string, unknown>;
}

export const allVersions = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/** A shell script that writes down how it was called and then does as it was told. */
const script = `#!/bin/sh
LAB=@LAB@ TYPE=@TYPE@
stamp=$(date +%s%N)
{ env; echo; cat; } >"$LAB/calls/.$$"
mv "$LAB/calls/.$$" "$LAB/calls/$stamp $TYPE"
if [ -e "$LAB/behaviour/$TYPE.$CNI_COMMAND" ]; then . "$LAB/behaviour/$TYPE.$CNI_COMMAND"; fi
`;

/** Plugins that write down how they are called, in folders of their own. */
export class PluginLab implements AsyncDisposable {
  private readonly networks: CniNetwork[] = [];

  readonly namespaces = new LinkedNamespaces();

  private constructor(readonly folder: string) {}

  static async open(): Promise<PluginLab> {
    const folder = await mkdtemp(join(tmpdir(), "cni-lab-"));
    for (const name of ["bin", "conf", "calls", "behaviour"]) await mkdir(join(folder, name));
    const lab = new PluginLab(folder);
    await lab.plugin("loopback", { result: { cniVersion: "1.0.0" } });
    return lab;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.networks.map((network) => network.close()));
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3, retryDelay: 100 });
  }

  get confDir(): string {
    return join(this.folder, "conf");
  }

  /** The namespaces that are kept, by pod. */
  async kept(): Promise<string[]> {
    return await readdir(join(this.folder, "cache", "docker-cri-netns")).catch(() => []);
  }

  get results(): string {
    return join(this.folder, "cache", "results");
  }

  /** Puts a plugin in the plugin folder. */
  async plugin(
    type: string,
    { versions = allVersions, result }: { versions?: readonly string[]; result?: unknown } = {},
  ): Promise<void> {
    const path = join(this.folder, "bin", type);
    await writeFile(path, script.replace("@LAB@", this.folder).replace("@TYPE@", type));
    await chmod(path, 0o755);
    await this.prints(type, "VERSION", { cniVersion: "1.1.0", supportedVersions: versions });
    if (result !== undefined) await this.prints(type, "ADD", result);
  }

  async removePlugin(type: string): Promise<void> {
    await rm(join(this.folder, "bin", type));
  }

  /** Makes a plugin do what a piece of shell says. */
  async does(type: string, verb: string, shell: string): Promise<void> {
    await writeFile(join(this.folder, "behaviour", `${type}.${verb}`), shell);
  }

  /** Makes a plugin print an object and succeed. */
  async prints(type: string, verb: string, body: unknown): Promise<void> {
    const text = join(this.folder, "behaviour", `${type}.${verb}.json`);
    await writeFile(text, JSON.stringify(body));
    await this.does(type, verb, `exec cat '${text}'`);
  }

  /** Makes a plugin fail with a CNI error. */
  async fails(type: string, verb: string, error: unknown, exitCode = 1): Promise<void> {
    const text = join(this.folder, "behaviour", `${type}.${verb}.json`);
    await writeFile(text, JSON.stringify(error));
    await this.does(type, verb, `cat '${text}'; exit ${exitCode}`);
  }

  async behaves(type: string, verb: string): Promise<void> {
    await rm(join(this.folder, "behaviour", `${type}.${verb}`), { force: true });
  }

  async conf(file: string, content: unknown): Promise<void> {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    await writeFile(join(this.confDir, file), text);
  }

  async noConf(): Promise<void> {
    for (const name of await readdir(this.confDir)) await rm(join(this.confDir, name), { recursive: true });
  }

  /** A network over the lab's folders, started. */
  async network(
    options: { timeoutMs?: number; podCidr?: string; intervalMs?: number; files?: HostFiles } = {},
  ): Promise<CniNetwork> {
    const { network: config } = parseConfig({
      network: {
        cniConfDir: this.confDir,
        cniBinDirs: [join(this.folder, "none"), join(this.folder, "bin")],
        cniCacheDir: join(this.folder, "cache"),
        cniTimeoutMs: options.timeoutMs ?? 10_000,
        podCidr: options.podCidr ?? "",
      },
    });
    const log = pino({ level: "silent" });
    const { files, trees, processes, kernel, logFiles, network: sockets } = new NodeHost();
    const host: Host = {
      files: options.files ?? files,
      trees,
      processes,
      kernel,
      logFiles,
      namespaces: this.namespaces,
      network: sockets,
    };
    const network = new CniNetwork(host, config, log, options.intervalMs ?? 60_000);
    this.networks.push(network);
    await network.start();
    return network;
  }

  /**
   * The calls since the last time this was asked, in order; without those for VERSION. Loopback runs beside the
   * others: what brings it up is put first, what takes it down last.
   */
  async calls(): Promise<Call[]> {
    const calls = (await this.allCalls()).filter(({ verb }) => verb !== "VERSION");
    const rank = ({ type, verb }: Call) => (type !== "loopback" ? 1 : verb === "ADD" ? 0 : 2);
    return calls.sort((a, b) => rank(a) - rank(b));
  }

  async allCalls(): Promise<Call[]> {
    const names = (await readdir(join(this.folder, "calls"))).filter((name) => !name.startsWith(".")).sort();
    const calls: Call[] = [];
    for (const name of names) {
      const path = join(this.folder, "calls", name);
      calls.push(parseCall(name.split(" ")[1]!, await readFile(path, "utf8")));
      await rm(path);
    }
    return calls;
  }

  /** The calls as "ADD bridge" and so on. */
  async verbs(): Promise<string[]> {
    return (await this.calls()).map(({ verb, type }) => `${verb} ${type}`);
  }

  async cached(): Promise<string[]> {
    return (await readdir(this.results).catch(() => [])).sort();
  }
}

/** The node's files, with faults that can be switched on. */
export class FailingFiles extends NodeFiles {
  /** The code of the error of every read and list of a path that matches. */
  fault: { readonly code: string; readonly path: RegExp } | undefined;
  failures = 0;

  override read(path: string, options?: ReadFileOptions): Promise<Buffer> {
    return this.failing(path) ?? super.read(path, options);
  }

  override list(directory: string): Promise<string[]> {
    return this.failing(directory) ?? super.list(directory);
  }

  private failing(path: string): Promise<never> | undefined {
    if (this.fault?.path.test(path) !== true) return undefined;
    this.failures++;
    return Promise.reject(fileError(this.fault.code, path, "too many open files"));
  }
}

/** Keeps namespaces by links, which needs no rights. */
class LinkedNamespaces implements HostNamespaces {
  /** What keeping one ends in. */
  failure: Error | undefined;

  async keep(path: string, keptAt: string): Promise<void> {
    if (this.failure) throw this.failure;
    await mkdir(dirname(keptAt), { recursive: true });
    if (!(await this.isKept(keptAt))) await symlink(path, keptAt);
  }

  async isKept(keptAt: string): Promise<boolean> {
    return await lstat(keptAt).then(
      (stat) => stat.isSymbolicLink(),
      () => false,
    );
  }

  async release(keptAt: string): Promise<void> {
    await rm(keptAt, { force: true });
  }
}

function parseCall(type: string, text: string): Call {
  const split = text.indexOf("\n\n");
  const env = Object.fromEntries(
    text
      .slice(0, split)
      .split("\n")
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
  return {
    type,
    env,
    verb: env["CNI_COMMAND"] ?? "",
    request: JSON.parse(text.slice(split + 2)) as Record<string, unknown>,
  };
}

/** A result with addresses on the pod's interface. */
export function resultWith(...addresses: string[]): Record<string, unknown> {
  return {
    cniVersion: "1.0.0",
    interfaces: [
      { name: "cni0", mac: "00:11:22:33:44:55" },
      { name: "eth0", mac: "99:88:77:66:55:44", sandbox: "/proc/1/ns/net" },
    ],
    ips: addresses.map((address) => ({ address, gateway: "10.1.0.1", interface: 1 })),
    dns: {},
  };
}

export const podId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

export function pod(overrides: Partial<PodToAttach> = {}): PodToAttach {
  return {
    id: podId,
    name: "web-0",
    namespace: "shop",
    uid: "6d1e2f0a-9b1b-4c68-8f0e-0d4f0a7f3c11",
    netnsPath: "/proc/self/ns/net",
    annotations: {},
    portMappings: [],
    ...overrides,
  };
}

/** Waits until `look` answers true. */
export async function until(look: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000;
  while (!(await look())) {
    assert.ok(Date.now() < end, "it did not happen within twenty seconds");
    await delay(10);
  }
}

/** A network of two plugins. */
export const chain = {
  cniVersion: "1.0.0",
  name: "podnet",
  plugins: [
    { type: "bridge", bridge: "cni0", ipam: { type: "host-local", subnet: "10.1.0.0/16" }, dns: {} },
    { type: "portmap", capabilities: { portMappings: true, bandwidth: false }, snat: true },
  ],
};

/** A lab with that network. */
export async function chained(overrides: object = {}): Promise<PluginLab> {
  const lab = await PluginLab.open();
  await lab.plugin("bridge", { result: resultWith("10.1.0.5/16") });
  await lab.plugin("portmap", { result: resultWith("10.1.0.5/16", "fd00::5/64") });
  await lab.conf("10-podnet.conflist", { ...chain, ...overrides });
  return lab;
}
