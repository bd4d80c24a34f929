import assert from "node:assert/strict";
import { waitUntil } from "../docker/lab/index.js";
import { assertExplained } from "../kubelet/complaints.js";
import { container, forever, isReady, manifest, statusOf } from "../kubelet/pods.js";
import type { Check } from "./checks.js";
import { kubeletConfig, type Cluster } from "./cluster.js";
import { idOf } from "./containers.js";
import { deployment } from "./workloads.js";

/** The node as a whole: its runtime started anew, its memory short, its pods moved away. */
export function node(check: Check): void {
  check(
    "docker-cri killed and dockerd restarted under load: no container restarts, no line lost",
    async (cluster) => {
      const { kubectl, shim, dockerd } = cluster;
      const talks = `i=0; while :; do i=$((i+1)); echo line $i; usleep 10000; done`;
      await kubectl.apply(manifest("talks", { containers: [container("main", talks)] }));
      await kubectl.untilPod("talks", isReady);
      const before = await ready(cluster);
      const load = new AbortController();
      const loops = Array.from({ length: 2 }, async () => {
        while (!load.signal.aborted)
          await kubectl.run(["exec", "shell", "--", "true"], { allowFailure: true });
      });
      await kubectl.apply(deployment("load", 2, { containers: [container("main", forever)] }));
      await shim.service.kill();
      await kubectl.out("scale", "deployment/load", "--replicas=5");
      await shim.service.start();
      await dockerd.restart({ keepContainers: true });
      await kubectl.out("rollout", "status", "deployment/load", "--timeout=240s");
      load.abort();
      await Promise.all(loops);
      const now = await ready(cluster);
      for (const [name, id] of before) assert.equal(now.get(name), id, name);
      const lines = (await kubectl.out("logs", "talks")).trimEnd().split("\n");
      assert.deepEqual(
        lines,
        lines.map((_, index) => `line ${index + 1}`),
      );
      assert.equal(await kubectl.out("exec", "shell", "--", "echo", "well"), "well\n");
      await kubectl.out("delete", "deployment", "load");
    },
  );

  check("Drain, uncordon and delete: nothing is left of a pod", async ({ kubectl, dockerd, network }) => {
    const options = ["--ignore-daemonsets", "--force", "--delete-emptydir-data", "--timeout=240s"];
    await kubectl.out("drain", "node", ...options);
    const left = (
      await kubectl.out("get", "pods", "-o", "name", "--field-selector=status.phase=Running")
    ).trim();
    assert.match(left, /^pod\/agent-\w+$/);
    await kubectl.out("uncordon", "node");
    await kubectl.out("rollout", "status", "deployment/web", "--timeout=240s");
    await kubectl.out("delete", "deployments,statefulsets,daemonsets,jobs,pods", "--all");
    const running = async () => (await dockerd.docker(["ps", "-q"])).stdout.trim();
    assert.ok(await waitUntil(async () => (await running()) === "", 60_000, 500), await running());
    await waitUntil(async () => (await network.traces()).addresses.length === 0, 20_000, 500);
    const { addresses, links, ...traces } = await network.traces();
    // kube-proxy's rules name the pods' network for the services that are left.
    const rules = traces.rules.filter((rule) => !rule.startsWith("-A KUBE-"));
    assert.deepEqual({ addresses, rules, links }, { addresses: [], rules: [], links: [] });
  });

  check("Eviction under memory pressure, with the pod's usage in the message", async (cluster) => {
    const { kubectl, kubelet } = cluster;
    // It is killed at the end of its grace: a pod whose containers exit with 0 is shown as succeeded, also when evicted.
    const fill = "dd if=/dev/zero of=/memory/fill bs=1M count=200 && touch /tmp/filled; sleep 86400; true";
    const memory = { name: "memory", emptyDir: { medium: "Memory" } };
    const volumeMounts = [{ name: "memory", mountPath: "/memory" }];
    const readinessProbe = {
      exec: { command: ["test", "-e", "/tmp/filled"] },
      periodSeconds: 1,
      timeoutSeconds: 10,
    };
    // A kubelet that starts short of memory does not take a pod without a request.
    const resources = { requests: { memory: "1Mi" } };
    const hog = container("main", fill, { volumeMounts, readinessProbe, resources });
    await kubectl.apply(manifest("hog", { volumes: [memory], containers: [hog] }));
    await kubectl.untilPod("hog", isReady);
    // A soft threshold above what any machine has: the node's allocatable memory stays as it is.
    await kubelet.restart({
      ...kubeletConfig,
      evictionSoft: { "memory.available": "99%" },
      evictionSoftGracePeriod: { "memory.available": "1s" },
      evictionMaxPodGracePeriod: 1,
    });
    const evicted = await kubectl.untilPod("hog", ({ status }) => status.phase === "Failed");
    const { reason, message } = evicted.status as { readonly reason?: string; readonly message?: string };
    assert.equal(reason, "Evicted");
    assert.match(message ?? "", /low on resource: memory.*Container main was using \d+Ki, request is 1Mi/);
    await kubelet.restart(kubeletConfig);
    const pressure = `{.status.conditions[?(@.type=="MemoryPressure")].status}`;
    const condition = async () => await kubectl.out("get", "node", "node", "-o", `jsonpath=${pressure}`);
    await kubectl.until("MemoryPressure", condition, (status) => status === "False");
    await kubectl.out("delete", "pod", "hog");
  });

  check("The kubelet's log has no error that docker-cri causes", async ({ kubelet }) => {
    assertExplained(await kubelet.complaints());
  });
}

/** The first containers of the pods that are ready, none of which has ever been restarted. */
async function ready({ kubectl }: Cluster): Promise<Map<string, string>> {
  const pods = (await kubectl.pods("")).filter(isReady);
  for (const pod of pods) assert.equal(statusOf(pod)?.restartCount, 0, pod.metadata.name);
  return new Map(pods.map((pod) => [pod.metadata.name, idOf(pod)]));
}
