import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContainerState, PodSandboxState } from "../../../src/client/index.js";
import { containerConfig, fails, forever, image, openLab, podConfig, until, type Lab } from "./lab.js";
import { Code } from "@connectrpc/connect";

const namesOf = async (lab: Lab) => (await lab.engine.containers.list()).map(({ names }) => names[0] ?? "");

describe("names that Docker cannot hold", () => {
  it("are taken and come back, and are one pod at a retry", async () => {
    await using lab = await openLab();
    const { runtime } = lab;
    const odd = ["PodSandbox_For Test", "a/b", "é;", "x".repeat(300), "k8s_POD_pod_default_uid_0"];
    for (const name of odd) {
      const config = { metadata: { name, namespace: name, uid: name, attempt: 4 } };
      const { podSandboxId } = await runtime.runPodSandbox({ config });
      for (const inner of [name, "POD"]) {
        const { containerId } = await runtime.createContainer({
          podSandboxId,
          sandboxConfig: config,
          config: { ...containerConfig(inner, forever), metadata: { name: inner, attempt: 2 } },
        });
        const { status } = await runtime.containerStatus({ containerId });
        assert.deepEqual([status?.metadata?.name, status?.metadata?.attempt], [inner, 2]);
      }
      const { status } = await runtime.podSandboxStatus({ podSandboxId });
      const { name: podName, namespace, uid, attempt } = status?.metadata ?? {};
      assert.deepEqual([podName, namespace, uid, attempt], [name, name, name, 4]);
      await fails(runtime.runPodSandbox({ config }), Code.AlreadyExists, /is held by container/);
    }
    assert.equal((await runtime.listPodSandbox({})).items.length, odd.length + 1);
  });
});

describe("a container that `docker rename` has changed", () => {
  it("is known by its id and labels, before and after a new inspect", async () => {
    await using lab = await openLab();
    const { engine, runtime, pod } = lab;
    const containerId = await lab.run(forever);
    const { name } = await engine.containers.inspect(containerId);
    engine.rename(containerId, "renamed");
    engine.rename(pod, "renamed-pod");
    await until(async () => {
      const { info } = await runtime.containerStatus({ containerId, verbose: true });
      return info["info"]?.includes('"dockerName":"renamed"') === true;
    });
    const { status } = await runtime.containerStatus({ containerId });
    assert.deepEqual([status?.metadata?.name, status?.state], ["c0", ContainerState.CONTAINER_RUNNING]);
    const { status: podStatus } = await runtime.podSandboxStatus({ podSandboxId: pod });
    assert.deepEqual([podStatus?.metadata?.name, podStatus?.state], ["pod", PodSandboxState.SANDBOX_READY]);
    // The name is free, but the container is there: a second one of the same attempt must not be made.
    const config = containerConfig("c0", forever);
    await fails(
      runtime.createContainer({ podSandboxId: pod, sandboxConfig: podConfig, config }),
      Code.AlreadyExists,
      new RegExp(`${name} is held by container ${containerId}, which is running`),
    );
    await fails(runtime.runPodSandbox({ config: podConfig }), Code.AlreadyExists, /which is running/);
    await runtime.stopContainer({ containerId, timeout: 0n });
    assert.equal((await engine.containers.inspect(containerId)).state.running, false);
    await runtime.removeContainer({ containerId });
    await runtime.removePodSandbox({ podSandboxId: pod });
    assert.deepEqual(await namesOf(lab), []);
  });

  it("is known also where cri-dockerd made it, by kubelet's labels", async () => {
    await using lab = await openLab();
    const { engine, runtime, pod } = lab;
    const { id: containerId } = await engine.containers.create({
      name: "k8s_nginx_pod_default_uid_7",
      config: {
        image,
        command: forever,
        labels: {
          "io.kubernetes.docker.type": "container",
          "io.kubernetes.sandbox.id": pod,
          "io.kubernetes.container.name": "nginx",
          "io.kubernetes.pod.name": "pod",
          "io.kubernetes.pod.namespace": "default",
          "io.kubernetes.pod.uid": "uid",
          "annotation.io.kubernetes.container.restartCount": "7",
        },
      },
      host: { networkMode: `container:${pod}` },
    });
    await engine.containers.start(containerId);
    engine.rename(containerId, "renamed");
    await until(async () => (await runtime.listContainers({})).containers.length === 1);
    const { status } = await runtime.containerStatus({ containerId });
    assert.deepEqual([status?.metadata?.name, status?.metadata?.attempt], ["nginx", 7]);
    await runtime.stopContainer({ containerId, timeout: 0n });
    assert.equal((await engine.containers.inspect(containerId)).state.running, false);
  });
});

describe("the image of a container", () => {
  it("keeps the requested name and the user's spelling", async () => {
    await using lab = await openLab();
    const { id } = lab.engine.load({ name: "aaa.example/other:1", otherNames: [image], seed: "x" });
    const told = async (asked: string, userSpecifiedImage: string) => {
      const containerId = await lab.create(forever, { image: { image: asked, userSpecifiedImage } });
      const { status } = await lab.runtime.containerStatus({ containerId });
      const listed = await lab.runtime.listContainers({ filter: { id: containerId } });
      assert.equal(listed.containers[0]?.image?.image, status?.image?.image);
      assert.equal(status?.imageId, id);
      return [status.image?.image, status.image?.userSpecifiedImage];
    };
    assert.deepEqual(await told(image, ""), [image, ""]);
    assert.deepEqual(await told(image, "busybox"), [image, "busybox"]);
    assert.deepEqual(await told(id, "busybox"), ["busybox", "busybox"]);
  });
});

describe("a start that was cut", () => {
  it("is refused the second time, with the reason", async () => {
    await using lab = await openLab();
    const containerId = await lab.create(["/no/such/program"]);
    await assert.rejects(lab.runtime.startContainer({ containerId }));
    await fails(
      lab.runtime.startContainer({ containerId }),
      Code.FailedPrecondition,
      /failed to start before \(.*no such.*\): only a created one can be started/i,
    );
  });
});
