import assert from "node:assert/strict";
import { join } from "node:path";
import {
  waitUntil,
  type Dockerd,
  type EngineName,
  type KubeletVersion,
  type Lab,
} from "../docker/lab/index.js";
import { openPodNode, serveShim, type PodNode, type ServedShim } from "../docker/pods-node.js";
import { untilEqual } from "../docker/streams.js";
import {
  makeCgroup,
  startKubelet,
  type Kubelet,
  type KubeletConfig,
  type KubeletOptions,
} from "./kubelet.js";
import type { Pod } from "./pods.js";
import { removePortRules } from "./port-rules.js";

/** A node as it is run: a Docker Engine, CNI plugins, and the folder of its kubelet. */
export interface NodeParts {
  readonly dockerd: Dockerd;
  readonly network: PodNode;
  /** Where the node's runtime serves CRI, whichever it is. */
  readonly socketPath: string;
  readonly folder: string;
  /** The control group of its pods. */
  readonly cgroupRoot: string;
}

/** A node whose runtime is docker-cri, and the kubelet that runs pods on it. */
export interface KubeletNode extends NodeParts {
  readonly shim: ServedShim;
  readonly kubelet: Kubelet;
}

type MoreOptions = Pick<KubeletOptions, "cluster" | "env">;

/** @param subnet The third number of the pods' 10.219.X.0/24, so that suites do not meet. */
export async function openParts(lab: Lab, engine: EngineName, subnet: number): Promise<NodeParts> {
  const cgroupRoot = await makeCgroup(lab);
  const dockerd = await lab.dockerd({
    name: "kubelet",
    engine,
    liveRestore: true,
    // For cri-dockerd, which asks for scores that this machine may not allow; docker-cri needs no help.
    liftNegativeOomScore: true,
  });
  const name = `kub${subnet}`;
  await removePortRules(name);
  lab.defer("the rules of the pods' ports", async () => {
    await removePortRules(name);
  });
  const network = await openPodNode(lab, dockerd, name, subnet);
  const folder = join(dockerd.folder, "kubelet");
  return { dockerd, network, folder, cgroupRoot, socketPath: join(dockerd.folder, "cri.sock") };
}

export async function openKubeletNode(
  lab: Lab,
  version: KubeletVersion,
  subnet: number,
  more: MoreOptions = {},
): Promise<KubeletNode> {
  const parts = await openParts(lab, "26.1", subnet);
  const shim = await serveShim(lab, parts.network, { socketPath: parts.socketPath });
  const kubelet = await startNodeKubelet(lab, parts, version, {}, more);
  return { ...parts, shim, kubelet };
}

/** The node's own address. */
export function nodeAddress({ dockerd }: NodeParts): string {
  return dockerd.bridge.address.split("/")[0] ?? "";
}

export async function startNodeKubelet(
  lab: Lab,
  parts: NodeParts,
  version: KubeletVersion,
  config: KubeletConfig = {},
  more: MoreOptions = {},
): Promise<Kubelet> {
  return await startKubelet(lab, {
    version,
    endpoint: `unix://${parts.socketPath}`,
    nodeIp: nodeAddress(parts),
    folder: parts.folder,
    cgroupRoot: parts.cgroupRoot,
    config,
    ...more,
  });
}

/**
 * Waits until the kubelet reports of a pod what is asked for: for three minutes, since many pods start at once and the
 * machine may be busy.
 * @throws AssertionError with its last status.
 */
export async function untilPod(
  { api }: Kubelet,
  name: string,
  holds: (pod: Pod) => boolean,
  withinMs = 180_000,
): Promise<Pod> {
  let last: Pod | undefined;
  const check = async (): Promise<boolean> => {
    last = (await api.pods()).get(name);
    return last !== undefined && holds(last);
  };
  const done = await waitUntil(check, withinMs, 200);
  assert.ok(done && last, `${name}: ${holds.toString()}: ${JSON.stringify(last?.status, undefined, 1)}`);
  return last;
}

/** Ends all pods, and waits until their containers have ended and their addresses are back. */
export async function endPods({ dockerd, network }: NodeParts, kubelet: Kubelet): Promise<void> {
  for (const name of (await kubelet.api.pods()).keys()) await kubelet.remove(name);
  const running = async () => (await dockerd.docker(["ps", "-q"])).stdout.trim();
  assert.ok(await waitUntil(async () => (await running()) === "", 60_000, 500), await running());
  const left = async () => {
    const { addresses, rules, links } = await network.traces();
    return { addresses, rules, links };
  };
  await untilEqual(left, { addresses: [], rules: [], links: [] }, 60_000);
}
