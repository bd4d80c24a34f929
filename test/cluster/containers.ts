import assert from "node:assert/strict";
import { imageSet, makeImage, type Lab } from "../docker/lab/index.js";
import { container, forever, isReady, manifest, statusOf, type Pod } from "../kubelet/pods.js";
import type { Check } from "./checks.js";
import type { Cluster } from "./cluster.js";

/** How the containers of pods are made: by which runtime, with which resources, from which image. */
export function containers(check: Check, lab: Lab): void {
  check(
    "RuntimeClass: its handler is a runtime of Docker, and an unknown one is reported",
    async (cluster) => {
      const { kubectl } = cluster;
      const runtimeClass = (name: string, handler: string) => ({
        apiVersion: "node.k8s.io/v1",
        kind: "RuntimeClass",
        metadata: { name },
        handler,
      });
      const pod = (name: string, runtimeClassName: string) =>
        manifest(name, { runtimeClassName, containers: [container("main", forever)] });
      await kubectl.apply(runtimeClass("plain", "runc"), runtimeClass("missing", "no-such-runtime"));
      await kubectl.apply(pod("plain", "plain"), pod("missing", "missing"));
      const id = idOf(await kubectl.untilPod("plain", isReady));
      assert.equal((await inspect(cluster, id)).Runtime, "runc");
      const events = ["events", "--for", "pod/missing", "--types=Warning"];
      await kubectl.until(
        "the event",
        async () => await kubectl.out(...events),
        (text) => /no-such-runtime/.test(text),
      );
      await kubectl.out("delete", "pod", "missing");
    },
  );

  check("In-place resize: cgroup values change, and the container keeps running", async (cluster) => {
    const { kubectl } = cluster;
    const resources = (cpu: string, memory: string) => ({
      requests: { cpu, memory },
      limits: { cpu, memory },
    });
    const spec = { containers: [container("main", forever, { resources: resources("100m", "64Mi") })] };
    await kubectl.apply(manifest("resized", spec));
    const before = await kubectl.untilPod("resized", isReady);
    const patch = { spec: { containers: [{ name: "main", resources: resources("200m", "96Mi") }] } };
    await kubectl.out("patch", "pod", "resized", "--subresource=resize", "-p", JSON.stringify(patch));
    const limits = ["CpuQuota", "CpuShares", "Memory"] as const;
    const set = async () => {
      const found = await inspect(cluster, idOf(before));
      return limits.map((name) => found[name]);
    };
    const wanted = JSON.stringify([20_000, 204, 96 << 20]);
    await kubectl.until("Docker's limits", set, (found) => JSON.stringify(found) === wanted);
    const memory = [
      "exec",
      "resized",
      "--",
      "sh",
      "-c",
      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max",
    ];
    assert.equal((await kubectl.run(memory, { allowFailure: true })).stdout, `${96 << 20}\n`);
    const reported = (pod: Pod) =>
      JSON.stringify(statusOf(pod)).includes('"limits":{"cpu":"200m","memory":"96Mi"}');
    const after = await kubectl.untilPod("resized", reported);
    assert.deepEqual([idOf(after), statusOf(after)?.restartCount], [idOf(before), 0]);
  });

  check("Image pull back-off names the image and the cause", async ({ kubectl }) => {
    const name = "127.0.0.1:1/none:1";
    await kubectl.apply(manifest("nopull", { containers: [{ name: "main", image: name }] }));
    const pod = await kubectl.untilPod("nopull", (each) => waitingOf(each)?.reason === "ImagePullBackOff");
    assert.match(waitingOf(pod)?.message ?? "", /127\.0\.0\.1:1\/none:1.*connection refused/);
    await kubectl.out("delete", "pod", "nopull");
  });

  check("A private registry: refused without a secret, pulled with imagePullSecrets", async ({ kubectl }) => {
    const registry = await lab.registry({ name: "private", users: { lab: "secret" } });
    // An image of its own: the kubelet asks whoever uses one that was pulled with a secret for that secret.
    const layers = (await imageSet("basic")).images[0]?.layers ?? [];
    const name = "private:1";
    await registry.push(makeImage([name], layers, { Labels: { private: "yes" } }));
    const pod = (podName: string, more: object) =>
      manifest(podName, {
        ...more,
        containers: [{ ...container("main", forever), image: registry.nameOf(name) }],
      });
    await kubectl.apply(pod("refused", {}));
    const refused = await kubectl.untilPod("refused", (each) => waitingOf(each)?.reason === "ErrImagePull");
    assert.match(waitingOf(refused)?.message ?? "", /no basic auth credentials|unauthorized|authentication/);
    const login = [
      `--docker-server=${registry.address}`,
      "--docker-username=lab",
      "--docker-password=secret",
    ];
    await kubectl.out("create", "secret", "docker-registry", "login", ...login);
    await kubectl.apply(pod("allowed", { imagePullSecrets: [{ name: "login" }] }));
    await kubectl.untilPod("allowed", isReady);
    await kubectl.out("delete", "pod", "refused", "allowed");
  });
}

export function idOf(pod: Pod): string {
  return statusOf(pod)?.containerID?.replace(/^docker:\/\//, "") ?? "";
}

function waitingOf(pod: Pod) {
  return statusOf(pod)?.state.waiting;
}

interface HostConfig {
  readonly Runtime: string;
  readonly CpuQuota: number;
  readonly CpuShares: number;
  readonly Memory: number;
}

async function inspect({ dockerd }: Cluster, id: string): Promise<HostConfig> {
  const { stdout } = await dockerd.docker(["inspect", "-f", "{{json .HostConfig}}", id]);
  return JSON.parse(stdout) as HostConfig;
}
