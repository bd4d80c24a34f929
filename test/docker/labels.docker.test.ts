import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ContainerState } from "../../src/client/index.js";
import { openLab, type Dockerd, type DockerdOptions } from "./lab/index.js";
import { openNode, podConfig, runPod, type NodeInView } from "./proxy/node-in-view.js";

const forever = ["sh", "-c", "trap exit TERM; sleep 86400 & wait"];
const evil = "evil.example/app:1";

const lab = openLab();
after(async () => {
  await lab.close();
});

const engines: readonly (DockerdOptions & { readonly title: string })[] = [
  { title: "Docker 20.10", engine: "20.10" },
  { title: "Docker 26.1 with containerd's store", engine: "26.1", containerdStore: true },
];

for (const { title, ...options } of engines) {
  describe(`labels and names on ${title}`, { timeout: 240_000 }, () => {
    let dockerd: Dockerd;
    let node: NodeInView;
    let pod: string;

    before(async () => {
      dockerd = await lab.dockerd({ name: "labels", iptables: false, ...options });
      const labels = {
        maintainer: "m",
        big: "x".repeat(40_000),
        bigger: "x".repeat(40_000),
        "io.kubernetes.docker.image-export": "x",
        "io.kubernetes.docker.image-volumes": JSON.stringify({
          "/x": { imageId: "sha256:../../victim", image: "i", imageSubPath: "" },
        }),
        "io.kubernetes.docker.label.io.kubernetes.container.name": "forged",
        "annotation.io.kubernetes.container.preStopHandler": "forged",
      };
      await dockerd.docker(["create", "--name", "base", "busybox:1.36", "sh"]);
      const changes = Object.entries(labels).flatMap(([key, value]) => [
        "--change",
        `LABEL ${key}=${JSON.stringify(value)}`,
      ]);
      await dockerd.docker(["commit", ...changes, "base", evil]);
      await dockerd.docker(["rm", "base"]);
      await mkdir(join(dockerd.folder, "victim"), { recursive: true });
      await writeFile(join(dockerd.folder, "victim", "file"), "precious");
      node = await openNode(dockerd);
      pod = await runPod(node, "labels");
    });
    after(async () => {
      await node.cri.runtime.removePodSandbox({ podSandboxId: pod });
      await node[Symbol.asyncDispose]();
      await dockerd.stop();
    });

    async function run(name: string, image: string): Promise<string> {
      const { runtime } = node.cri;
      const { containerId } = await runtime.createContainer({
        podSandboxId: pod,
        sandboxConfig: podConfig("labels"),
        config: {
          metadata: { name, attempt: 0 },
          image: { image },
          command: forever,
          labels: { "io.kubernetes.container.name": name },
          annotations: { own: "1" },
          linux: {},
        },
      });
      await runtime.startContainer({ containerId });
      return containerId;
    }

    it("are exactly the request's, whatever the image and a committed container bring", async () => {
      const first = await run("first", evil);
      await dockerd.docker(["commit", first, "committed:1"]);
      const second = await run("second", "committed:1");
      const { stdout } = await dockerd.docker(["run", "-d", "--net=none", "committed:1"]);
      const { containers } = await node.cri.runtime.listContainers({});
      assert.deepEqual(containers.map(({ id }) => id).sort(), [first, second].sort());
      for (const [containerId, name, image] of [
        [first, "first", evil],
        [second, "second", "committed:1"],
      ] as const) {
        const { status } = await node.cri.runtime.containerStatus({ containerId });
        assert.deepEqual({ ...status?.labels }, { "io.kubernetes.container.name": name });
        assert.deepEqual({ ...status?.annotations }, { own: "1" });
        assert.equal(status?.image?.image, image);
      }
      const format = ["--format", '{{len (index .Config.Labels "big")}}'];
      assert.equal((await dockerd.docker(["inspect", first, ...format])).stdout.trim(), "0");
      await node.cri.runtime.removeContainer({ containerId: first });
      await node[Symbol.asyncDispose]();
      node = await openNode(dockerd);
      const status = await node.cri.runtime.containerStatus({ containerId: second });
      assert.equal(status.status?.state, ContainerState.CONTAINER_RUNNING);
      assert.equal(await readFile(join(dockerd.folder, "victim", "file"), "utf8"), "precious");
      await dockerd.docker(["rm", "-f", stdout.trim()]);
      await node.cri.runtime.removeContainer({ containerId: second });
    });

    it("stay those of a renamed container, and odd names are taken", async () => {
      const name = `Odd_name of ${"x".repeat(300)}`;
      const containerId = await run(name, "busybox:1.36");
      await dockerd.docker(["rename", containerId, "renamed"]);
      await dockerd.docker(["rename", pod, "renamed-pod"]);
      const { runtime } = node.cri;
      const { status } = await runtime.containerStatus({ containerId });
      assert.deepEqual([status?.metadata?.name, status?.state], [name, ContainerState.CONTAINER_RUNNING]);
      assert.equal((await runtime.podSandboxStatus({ podSandboxId: pod })).status?.metadata?.name, "labels");
      await runtime.stopContainer({ containerId, timeout: 0n });
      const running = ["inspect", containerId, "--format", "{{.State.Running}}"];
      assert.equal((await dockerd.docker(running)).stdout.trim(), "false");
      await runtime.removeContainer({ containerId });
    });
  });
}
