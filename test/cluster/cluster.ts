import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort, kubernetesProgram, run, type Lab } from "../docker/lab/index.js";
import { serveShim } from "../docker/pods-node.js";
import { nodeAddress, openParts, startNodeKubelet, type KubeletNode } from "../kubelet/node.js";
import { namespace } from "../kubelet/pods.js";
import { writeKubeconfig } from "./certificates.js";
import { startControlPlane, writeConfig, type ControlPlane } from "./control-plane.js";
import { loadAgnhost } from "./images.js";
import type { Kubectl } from "./kubectl.js";

/** A cluster whose one node runs its pods by docker-cri. */
export interface Cluster extends KubeletNode {
  readonly controlPlane: ControlPlane;
  readonly kubectl: Kubectl;
  /** The node's address. */
  readonly address: string;
}

const subnet = 90;
/** The first three numbers of the services' addresses. */
export const serviceNet = `10.221.${subnet}`;

/** Settings of the cluster's kubelet beside those of every kubelet of the lab. */
export const kubeletConfig = {
  // The API server calls it.
  address: "0.0.0.0",
  clusterDomain: "cluster.local",
  clusterDNS: [`${serviceNet}.10`],
  containerLogMaxSize: "10Mi",
  // Changes of ConfigMaps and Secrets reach their volumes with the next round.
  syncFrequency: "3s",
};

/** Starts a cluster, and waits until its node is ready. @throws Error with the end of a log when a part does not serve. */
export async function openCluster(lab: Lab): Promise<Cluster> {
  const parts = await openParts(lab, "26.1", subnet);
  await loadAgnhost(parts.dockerd);
  const { bridge } = parts.network;
  await letForward(lab, bridge);
  const address = nodeAddress(parts);
  const folder = join(parts.dockerd.folder, "cluster");
  const controlPlane = await startControlPlane(lab, { folder, address, serviceNet });
  const { authority, server, kubectl, admin } = controlPlane;
  const shim = await serveShim(lab, parts.network, { socketPath: parts.socketPath });
  const names = ["IP:127.0.0.1", `IP:${address}`, "DNS:node"];
  const serving = await authority.sign("kubelet", "/O=system:nodes/CN=system:node:node", names);
  const cluster = { kubeconfig: await writeKubeconfig(server, serving), serving, client: admin };
  const kubelet = await startNodeKubelet(lab, parts, "1.36", kubeletConfig, { cluster });
  await startKubeProxy(lab, folder, controlPlane);
  await kubectl.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  await kubectl.out("wait", "node/node", "--for=condition=Ready", "--timeout=240s");
  const account = async () => await kubectl.out("get", "serviceaccount", "default", "-o", "name");
  await kubectl.until("the namespace's account", account, (name) => name !== "");
  return { ...parts, shim, kubelet, controlPlane, kubectl, address };
}

/** dockerd has the kernel forward nothing but what its own bridges send. */
async function letForward(lab: Lab, bridge: string): Promise<void> {
  const rules = ["-i", "-o"].map((side) => ["FORWARD", side, bridge, "-j", "ACCEPT"]);
  lab.defer("the rules for the pods' bridge", async () => {
    for (const rule of rules) await run("iptables", ["-w", "-D", ...rule], { allowFailure: true });
  });
  for (const rule of rules) await run("iptables", ["-w", "-I", ...rule]);
}

async function startKubeProxy(lab: Lab, folder: string, { authority, server }: ControlPlane): Promise<void> {
  const command = await kubernetesProgram("cmd/kube-proxy", "1.36");
  const user = await authority.sign("kube-proxy", "/CN=system:kube-proxy");
  const health = `127.0.0.1:${await freePort()}`;
  const config = await writeConfig(folder, "kube-proxy.json", {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    clientConnection: { kubeconfig: await writeKubeconfig(server, user) },
    mode: "iptables",
    clusterCIDR: `10.219.${subnet}.0/24`,
    hostnameOverride: "node",
    healthzBindAddress: health,
    metricsBindAddress: `127.0.0.1:${await freePort()}`,
    // The machine's own limits stay.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    oomScoreAdj: 0,
  });
  const setting = "/proc/sys/net/ipv4/conf/all/route_localnet";
  const before = await readFile(setting, "utf8");
  lab.defer("kube-proxy's rules", async () => {
    await run(command, ["--cleanup"], { allowFailure: true });
    // It leaves the chain that a kubelet may have written as well.
    const chain = "KUBE-FIREWALL";
    const jumps = ["INPUT", "OUTPUT"].map((from) => ["-D", from, "-j", chain]);
    for (const tool of ["iptables", "ip6tables"])
      for (const rule of [...jumps, ["-F", chain], ["-X", chain]])
        await run(tool, ["-w", ...rule], { allowFailure: true });
    await writeFile(setting, before);
  });
  await lab.service({
    name: "kube-proxy",
    command,
    args: [`--config=${config}`],
    ready: async () => (await fetch(`http://${health}/healthz`).catch(() => undefined))?.status === 200,
  });
}
