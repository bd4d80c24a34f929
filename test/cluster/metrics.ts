import assert from "node:assert/strict";
import { freePort, metricsServerProgram, type Lab } from "../docker/lab/index.js";
import type { Check } from "./checks.js";
import type { Cluster } from "./cluster.js";
import { writeKubeconfig } from "./certificates.js";

/** What pods and the node use. */
export function metrics(check: Check, lab: Lab): void {
  check("Stats through the API server: /stats/summary and /metrics/resource", async ({ kubectl }) => {
    const path = "/api/v1/nodes/node/proxy";
    interface Summary {
      readonly pods: readonly { readonly podRef: { readonly name: string }; readonly memory?: object }[];
    }
    const summary = async () =>
      JSON.parse(await kubectl.out("get", "--raw", `${path}/stats/summary`)) as Summary;
    await kubectl.until("the summary", summary, ({ pods }) =>
      pods.some(({ podRef, memory }) => podRef.name === "shell" && memory !== undefined),
    );
    const resource = await kubectl.out("get", "--raw", `${path}/metrics/resource`);
    assert.match(resource, /^container_memory_working_set_bytes\{container="main",[^}]*pod="shell"\} \d/m);
    assert.match(resource, /^container_cpu_usage_seconds_total\{container="main",[^}]*pod="shell"\} \d/m);
  });

  check("`kubectl top` of pods, containers and the node, by metrics-server", async (cluster) => {
    const { kubectl } = cluster;
    await startMetricsServer(lab, cluster);
    const pods = async () => await kubectl.out("top", "pods", "--containers");
    await kubectl.until("top pods", pods, (text) => /^shell +main +\d+m +\d+Mi/m.test(text));
    assert.match(await kubectl.out("top", "node"), /^node +\d+m +\d+% +\d+Mi +\d+%/m);
  });
}

/** metrics-server as a process of the node, behind an APIService. */
async function startMetricsServer(lab: Lab, cluster: Cluster): Promise<void> {
  const { kubectl, controlPlane, address, folder } = cluster;
  const port = await freePort();
  const kubeconfig = await writeKubeconfig(controlPlane.server, controlPlane.admin);
  await lab.service({
    name: "metrics-server",
    command: await metricsServerProgram(),
    args: [
      `--kubeconfig=${kubeconfig}`,
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      `--secure-port=${port}`,
      `--cert-dir=${folder}/metrics-server`,
      "--kubelet-use-node-status-port",
      "--kubelet-preferred-address-types=InternalIP",
      `--kubelet-certificate-authority=${controlPlane.authority.certFile}`,
      "--metric-resolution=15s",
    ],
  });
  const metadata = { name: "metrics-server", namespace: "kube-system" };
  const labels = { "kubernetes.io/service-name": "metrics-server" };
  await kubectl.apply(
    { apiVersion: "v1", kind: "Service", metadata, spec: { ports: [{ name: "https", port: 443 }] } },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { ...metadata, labels },
      addressType: "IPv4",
      ports: [{ name: "https", port }],
      endpoints: [{ addresses: [address] }],
    },
    {
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: { name: "v1beta1.metrics.k8s.io" },
      spec: {
        service: { name: metadata.name, namespace: metadata.namespace },
        group: "metrics.k8s.io",
        version: "v1beta1",
        groupPriorityMinimum: 100,
        versionPriority: 100,
        insecureSkipTLSVerify: true,
      },
    },
  );
}
