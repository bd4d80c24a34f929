import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClients, type Clients } from "../../src/client/index.js";
import {
  accepts,
  installPackages,
  run,
  waitUntil,
  type CriDockerd,
  type Dockerd,
  type Lab,
  type Service,
} from "./lab/index.js";
import { untilEqual } from "./streams.js";

const program = join(import.meta.dirname, "..", "..", "src", "cli", "main.ts");

/** What a node's pods leave on it: nothing of it may outlive them. */
export interface Traces {
  readonly containers: readonly string[];
  readonly addresses: readonly string[];
  readonly results: readonly string[];
  readonly checkpoints: readonly string[];
  readonly links: readonly string[];
  readonly rules: readonly string[];
  /** Mounts that keep a network namespace alive; that of the node itself, which Docker holds from the first pod on, is left out. */
  readonly namespaces: readonly string[];
}

/** A node with a Docker Engine and a CNI network of the real plugins, and where shims keep what they know of it. */
export interface PodNode {
  readonly dockerd: Dockerd;
  /** The bridge that the pods' links end at. */
  readonly bridge: string;
  readonly root: string;
  readonly cniConf: string;
  readonly cniCache: string;
  /** Plugins that this node adds or replaces, ahead of the real ones. */
  readonly ownPlugins: string;
  /**
   * Writes the network's configuration anew.
   * @param options.ipMasq False for pods that cri-dockerd ends: the bridge plugin leaves their masquerading behind.
   */
  configure(options: { readonly ipMasq: boolean }): Promise<void>;
  traces(): Promise<Traces>;
}

export const realPlugins = "/usr/lib/cni";

/** @param subnet The third number of 10.219.X.0/24, so that suites do not meet. */
export async function openPodNode(
  lab: Lab,
  dockerd: Dockerd,
  name: string,
  subnet: number,
): Promise<PodNode> {
  await installPackages("network");
  const { folder } = dockerd;
  const bridge = `dct${name}0`;
  const cniConf = join(folder, "cni");
  const ownPlugins = join(folder, "plugins");
  const root = join(folder, "shim");
  const cniCache = join(folder, "cni-cache");
  const dataDir = join(folder, "ipam");
  await Promise.all([mkdir(cniConf, { recursive: true }), mkdir(ownPlugins, { recursive: true })]);
  const ipam = {
    type: "host-local",
    dataDir,
    ranges: [[{ subnet: `10.219.${subnet}.0/24` }], [{ subnet: `fd00:219:${subnet}::/64` }]],
    routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
  };
  const configure = async ({ ipMasq }: { readonly ipMasq: boolean }) => {
    const plugins = [
      { type: "bridge", bridge, isGateway: true, ipMasq, hairpinMode: true, ipam },
      { type: "portmap", capabilities: { portMappings: true }, snat: true },
      { type: "bandwidth", capabilities: { bandwidth: true } },
    ];
    const list = { cniVersion: "1.0.0", name, plugins };
    await writeFile(join(cniConf, "10-pods.conflist"), JSON.stringify(list));
  };
  await configure({ ipMasq: true });
  lab.defer(`the bridge ${bridge}`, async () => {
    await run("ip", ["link", "delete", bridge], { allowFailure: true });
  });
  const traces = async (): Promise<Traces> => ({
    containers: lines((await dockerd.docker(["ps", "-aq"])).stdout),
    addresses: (await filesIn(join(dataDir, name))).filter((file) => /^[0-9a-f]+[.:]/.test(file)),
    results: await filesIn(join(cniCache, "results")),
    checkpoints: await filesIn(join(root, "sandbox")),
    links: lines((await run("ip", ["-o", "link", "show", "master", bridge], { allowFailure: true })).stdout),
    rules: await rulesOf(name, subnet),
    namespaces: await namespaceMounts(folder),
  });
  return { dockerd, bridge, root, cniConf, cniCache, ownPlugins, configure, traces };
}

/** The firewall's rules that speak of this network or its pods. */
async function rulesOf(name: string, subnet: number): Promise<string[]> {
  const saved = await Promise.all(
    ["iptables-save", "ip6tables-save"].map((tool) => run(tool, ["-t", "nat"])),
  );
  const own = new RegExp(`name: "${name}"|10\\.219\\.${subnet}\\.|fd00:219:${subnet}:`);
  return saved.flatMap(({ stdout }) => lines(stdout)).filter((line) => own.test(line));
}

async function namespaceMounts(folder: string): Promise<string[]> {
  const mounts = lines(await readFile("/proc/self/mounts", "utf8")).map((line) => line.split(" "));
  return mounts.flatMap(([, path = "", type]) =>
    type === "nsfs" && path.startsWith(`${folder}/`) && !path.endsWith("/default") ? [path] : [],
  );
}

async function filesIn(folder: string): Promise<string[]> {
  return await readdir(folder).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  });
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** Fails with what is left when a node does not come to rest as it was. */
export async function assertSameTraces(node: PodNode, clean: Traces): Promise<void> {
  await untilEqual(() => node.traces(), clean, 60_000);
}

export interface ServedShim {
  readonly service: Service;
  readonly cri: Clients;
  readonly endpoint: string;
}

export interface ServeOptions {
  /** Default: a socket in the service's own folder. */
  readonly socketPath?: string;
  readonly extraArgs?: readonly string[];
}

/** Serves CRI for a node in a process of its own, as a node does. */
export async function serveShim(lab: Lab, node: PodNode, options: ServeOptions = {}): Promise<ServedShim> {
  const socketIn = (folder: string) => options.socketPath ?? join(folder, "cri.sock");
  const service = await lab.service({
    name: "docker-cri",
    command: process.execPath,
    args: (folder) => [
      "--import",
      "tsx",
      program,
      "serve",
      `--container-runtime-endpoint=unix://${socketIn(folder)}`,
      `--docker-endpoint=${node.dockerd.endpoint}`,
      `--root-directory=${node.root}`,
      `--cni-conf-dir=${node.cniConf}`,
      `--cni-bin-dir=${node.ownPlugins},${realPlugins}`,
      `--cni-cache-dir=${node.cniCache}`,
      "--network-plugin=cni",
      "--restrict-oom-score-adj",
      ...(options.extraArgs ?? []),
    ],
    ready: (folder) => accepts(socketIn(folder)),
    readyTimeoutMs: 60_000,
  });
  const endpoint = `unix://${socketIn(service.folder)}`;
  return { service, cri: await readyClients(lab, endpoint), endpoint };
}

/** Starts cri-dockerd on the node, with the root folder and the network that docker-cri has there. */
export async function servePeer(lab: Lab, node: PodNode, socketPath?: string): Promise<CriDockerd> {
  return await lab.criDockerd({
    dockerEndpoint: node.dockerd.endpoint,
    rootFolder: node.root,
    networkPlugin: "cni",
    cniConfFolder: node.cniConf,
    cniBinFolder: realPlugins,
    cniCacheFolder: node.cniCache,
    ...(socketPath !== undefined && { socketPath }),
  });
}

/** Clients of a runtime, once it is ready. The lab closes them. */
export async function readyClients(lab: Lab, endpoint: string): Promise<Clients> {
  const cri = createClients({ endpoint });
  lab.defer("a CRI client", () => {
    cri[Symbol.dispose]();
  });
  await untilReady(cri);
  return cri;
}

/** Waits until Docker's state is read and the network is there. */
export async function untilReady({ runtime }: Clients): Promise<void> {
  const ready = await waitUntil(
    async () => {
      const { status } = await runtime.status({}).catch(() => ({ status: undefined }));
      return (
        status !== undefined && status.conditions.length > 0 && status.conditions.every((each) => each.status)
      );
    },
    60_000,
    50,
  );
  assert.ok(ready, "the shim is not ready after a minute");
}

/** A plugin of our own ahead of the real one: a line of shell. */
export async function writePlugin(node: PodNode, name: string, script: string): Promise<void> {
  const path = join(node.ownPlugins, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

export interface PodWish {
  readonly hostPort?: number;
  readonly hostIp?: string;
  readonly hostNetwork?: boolean;
}

export function podConfig(name: string, { hostPort, hostIp = "", hostNetwork = false }: PodWish = {}) {
  return {
    metadata: { name, namespace: "pods", uid: `uid-${name}`, attempt: 0 },
    ...(hostNetwork ? {} : { hostname: name }),
    portMappings: hostPort === undefined ? [] : [{ hostPort, hostIp, containerPort: 80 }],
    linux: { securityContext: { namespaceOptions: { network: hostNetwork ? 2 : 0, pid: 1 } } },
  };
}

/** Does `work` for each item, so many at a time. */
export async function eachAtOnce<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
