import assert from "node:assert/strict";
import { isReady, manifest, type Pod } from "../kubelet/pods.js";
import type { Check } from "./checks.js";
import type { Cluster } from "./cluster.js";
import { agnhost } from "./images.js";
import type { Kubectl } from "./kubectl.js";

interface ServiceObject {
  readonly spec: { readonly clusterIP: string; readonly ports: readonly { readonly nodePort?: number }[] };
}

/** A pod that answers over HTTP and UDP with its name. */
function server(name: string, app: string): object {
  const { metadata, ...rest } = manifest(name, {
    containers: [
      {
        name: "main",
        image: agnhost,
        args: ["netexec", "--http-port=8080", "--udp-port=8081"],
        readinessProbe: { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1, timeoutSeconds: 10 },
      },
    ],
  });
  return { ...rest, metadata: { ...metadata, labels: { app } } };
}

function service(name: string, app: string): object {
  const ports = [
    { name: "http", port: 80, targetPort: 8080 },
    { name: "udp", port: 81, targetPort: 8081, protocol: "UDP" },
  ];
  const spec = { type: "NodePort", selector: { app }, ports };
  return { apiVersion: "v1", kind: "Service", metadata: { name }, spec };
}

async function addressOf(kubectl: Kubectl, name: string): Promise<string> {
  return (await kubectl.json<ServiceObject>("get", "service", name)).spec.clusterIP;
}

async function nodePortOf(kubectl: Kubectl, name: string): Promise<number> {
  return (await kubectl.json<ServiceObject>("get", "service", name)).spec.ports[0]?.nodePort ?? 0;
}

/** What a server tells of its name to a client in a pod. */
async function fromPod(kubectl: Kubectl, pod: string, host: string, port: number): Promise<string> {
  const request = `printf 'GET /hostname HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${host} ${port}`;
  const answer = await kubectl.out("exec", pod, "--", "sh", "-c", request);
  return answer.split("\r\n\r\n")[1]?.trim() ?? "";
}

async function fromNode(host: string, port: number): Promise<string> {
  return await (await fetch(`http://${host}:${port}/hostname`)).text();
}

/** Asks until it is answered: kube-proxy writes its rules a moment after the pods are ready. */
async function until({ kubectl }: Cluster, ask: () => Promise<string>, wanted: RegExp): Promise<void> {
  await kubectl.until(String(wanted), ask, (answer) => wanted.test(answer), 30_000);
}

/** Services, whose addresses kube-proxy leads to pods. */
export function services(check: Check): void {
  check("Service from another pod, over TCP and UDP, to each of its pods", async (cluster) => {
    const { kubectl } = cluster;
    await kubectl.apply(
      server("one", "both"),
      server("two", "both"),
      server("self", "self"),
      service("both", "both"),
      service("self", "self"),
    );
    for (const name of ["one", "two", "self"]) await kubectl.untilPod(name, isReady);
    const address = await addressOf(kubectl, "both");
    for (const name of [/^one$/, /^two$/])
      await until(cluster, async () => await fromPod(kubectl, "shell", address, 80), name);
    // It fails when no answer comes.
    const udp = ["connect", "--protocol=udp", "--timeout=5s", `${address}:81`];
    await kubectl.out("exec", "self", "--", "/agnhost", ...udp);
  });

  check("Service from its only pod (hairpin)", async (cluster) => {
    const { kubectl } = cluster;
    const address = await addressOf(kubectl, "self");
    await until(cluster, async () => await fromPod(kubectl, "self", address, 80), /^self$/);
  });

  check("Service from the node", async (cluster) => {
    const address = await addressOf(cluster.kubectl, "self");
    await until(cluster, async () => await fromNode(address, 80), /^self$/);
  });

  check("NodePort from the node and from a pod", async (cluster) => {
    const { kubectl, address } = cluster;
    const port = await nodePortOf(kubectl, "self");
    await until(cluster, async () => await fromNode(address, port), /^self$/);
    await until(cluster, async () => await fromPod(kubectl, "shell", address, port), /^self$/);
  });

  check("The API server from a pod: client-go with the pod's own token", async (cluster) => {
    const { kubectl } = cluster;
    const args = ["inclusterclient", "--poll-interval=1"];
    await kubectl.apply(manifest("client", { containers: [{ name: "main", image: agnhost, args }] }));
    await kubectl.untilPod("client", isReady);
    const calls = async () => await kubectl.out("logs", "client");
    const log = await kubectl.until("calls", calls, (text) => text.split("calling /healthz").length > 3);
    assert.doesNotMatch(log, /status=failed|<empty>/);
  });
}

/** The pods' own idea of their addresses. */
export function addressesOf(pod: Pod): readonly string[] {
  return (pod.status.podIPs ?? []).map(({ ip }) => ip);
}
