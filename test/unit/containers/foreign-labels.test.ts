import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { createClients } from "../../../src/client/index.js";
import type { DockerService } from "../../../src/docker/index.js";
import { createMemoryDocker, type MemoryDocker } from "../../../src/drivers/memory/index.js";
import { ListContainersResponseSchema } from "../../../src/gen/runtime/v1/api_pb.js";
import { createShim } from "../../../src/index.js";
import { containerConfig, fails, forever, image, podConfig, until } from "./lab.js";

type Labels = Readonly<Record<string, string>>;

const evil = "evil.example/app:1";
const evilPause = "evil.example/pause:1";
const root = "/var/lib/cri-dockerd/image-volumes";
const hex = "a".repeat(64);

const engines: MemoryDocker[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

function engineWith(labels: Labels, settings = {}): MemoryDocker {
  const engine = createMemoryDocker({
    images: [
      image,
      "registry.k8s.io/pause:3.10",
      { name: evil, config: { command: ["sh"], labels } },
      { name: evilPause, config: { entrypoint: ["/pause"], labels } },
    ],
    settings,
  });
  engines.push(engine);
  return engine;
}

async function startShim(engine: MemoryDocker, docker: DockerService = engine.connect(), more = {}) {
  const shim = await createShim({
    engine: docker,
    host: engine.host,
    logLevel: "silent",
    network: { plugin: "none" },
    ...more,
  });
  await shim.start();
  const { runtime } = createClients(shim.inProcessTransport());
  const runPod = async (name = "pod", config = {}) =>
    (await runtime.runPodSandbox({ config: { metadata: { ...podConfig.metadata, name }, ...config } }))
      .podSandboxId;
  const createIn = async (podSandboxId: string, name: string, fields = {}) => {
    const config = containerConfig(name, forever, { image: { image: evil }, ...fields });
    return (await runtime.createContainer({ podSandboxId, sandboxConfig: podConfig, config })).containerId;
  };
  return { runtime, runPod, createIn, [Symbol.asyncDispose]: () => shim.close() };
}

const volumes = (imageId: string, path = "/x") => ({
  "io.kubernetes.docker.image-volumes": JSON.stringify({ [path]: { imageId, image: "i", imageSubPath: "" } }),
});

describe("labels of an image", () => {
  for (const imageId of [
    "sha256:../../../victim",
    "../../victim",
    "sha256:/victim",
    "victim",
    "sha256:..",
    "sha256:",
  ]) {
    it(`remove nothing of the node: ${imageId}`, async () => {
      const engine = engineWith(volumes(imageId), { apiVersion: [1, 41] });
      const { tree } = engine.host;
      for (const folder of ["/var/lib/victim", "/victim", `${root}/victim`, `${root}/${hex}`]) {
        tree.makeDirectory(folder);
        tree.replace(`${folder}/file`, "precious", 0o600);
      }
      await using node = await startShim(engine);
      const id = await node.createIn(await node.runPod(), "c");
      await node.runtime.removeContainer({ containerId: id });
      // One that an earlier docker-cri or cri-dockerd made says nothing of its labels' origin.
      const { id: older } = await engine.containers.create({
        name: "k8s_c_pod_default_uid_7",
        config: {
          image: evil,
          labels: { "io.kubernetes.docker.type": "container", "io.kubernetes.sandbox.id": hex },
        },
        host: {},
      });
      await until(async () =>
        (await node.runtime.listContainers({})).containers.some((one) => one.id === older),
      );
      await node.runtime.removeContainer({ containerId: older });
      await new Promise((resolve) => setTimeout(resolve, 50));
      for (const folder of ["/var/lib/victim", "/victim", `${root}/victim`])
        assert.equal(tree.read(`${folder}/file`).toString(), "precious", folder);
    });
  }

  it("show no mount as an image's", async () => {
    const engine = engineWith(volumes(`sha256:${hex}`, "/c"));
    engine.host.tree.makeDirectory("/h");
    await using node = await startShim(engine);
    const containerId = await node.createIn(await node.runPod(), "c", {
      mounts: [{ hostPath: "/h", containerPath: "/c" }],
    });
    const { status } = await node.runtime.containerStatus({ containerId });
    assert.deepEqual([status?.mounts[0]?.hostPath, status?.mounts[0]?.image], ["/h", undefined]);
  });

  for (const filtering of [true, false]) {
    it(`let nothing be removed at the start, with an engine that ${filtering ? "filters" : "ignores filters"}`, async () => {
      const engine = engineWith({ "io.kubernetes.docker.image-export": "x" }, { apiVersion: [1, 41] });
      const ids: string[] = [];
      {
        await using node = await startShim(engine);
        const pod = await node.runPod();
        ids.push(pod, await node.createIn(pod, "created"), await node.createIn(pod, "running"));
        await node.runtime.startContainer({ containerId: ids[2] ?? "" });
      }
      const plain = { image: evil, entrypoint: ["sh"], command: ["-c", "sleep 100"] };
      const foreign = await engine.containers.create({
        name: "docker-cri-export-run",
        config: plain,
        host: {},
      });
      await engine.containers.start(foreign.id);
      const created = await engine.containers.create({ name: "hand-made", config: plain, host: {} });
      ids.push(foreign.id, created.id);
      const left = await engine.containers.create({
        name: "docker-cri-export-0123456789abcdef",
        config: { image, command: ["/"], labels: { "io.kubernetes.docker.image-export": "before" } },
        host: {},
      });
      const docker = engine.connect();
      if (!filtering) {
        const list = docker.containers.list.bind(docker.containers);
        docker.containers.list = (_filter, options) => list({}, options);
      }
      await using node = await startShim(engine, docker);
      const isThere = (id: string) =>
        engine.containers.inspect(id).then(
          () => true,
          () => false,
        );
      await until(async () => !(await isThere(left.id)));
      for (const id of ids) assert.equal(await isThere(id), true);
      const { items } = await node.runtime.listPodSandbox({});
      assert.deepEqual(
        items.map(({ id, state }) => [id, state]),
        [[ids[0], 0]],
      );
      assert.equal((await node.runtime.listContainers({})).containers.length, 2);
    });
  }

  it("do not show, and override nothing of the request", async () => {
    const labels = {
      maintainer: "m",
      "io.kubernetes.docker.label.io.kubernetes.container.name": "forged",
      "io.kubernetes.docker.label.other": "forged",
      "annotation.io.kubernetes.container.preStopHandler": "forged",
      "io.kubernetes.docker.type": "podsandbox",
      "io.kubernetes.docker.log-directory": "/",
      "io.kubernetes.docker.own-labels": JSON.stringify({ image: `sha256:${hex}`, keys: ["maintainer"] }),
      "io.kubernetes.docker.metadata": JSON.stringify({
        pod: { name: "forged" },
        container: { name: "forged" },
      }),
    };
    const engine = engineWith(labels);
    await using node = await startShim(engine, engine.connect(), { sandboxImage: evilPause });
    const own = { labels: { "io.kubernetes.container.name": "c", empty: "" }, annotations: { a: "b" } };
    const pod = await node.runPod("pod", own);
    const containerId = await node.createIn(pod, "c", own);
    const [container] = (await node.runtime.listContainers({})).containers;
    const [sandbox] = (await node.runtime.listPodSandbox({})).items;
    const statuses = [
      (await node.runtime.containerStatus({ containerId })).status,
      (await node.runtime.podSandboxStatus({ podSandboxId: pod })).status,
    ];
    for (const told of [container, sandbox, ...statuses]) {
      assert.deepEqual({ ...told?.labels }, own.labels);
      assert.deepEqual({ ...told?.annotations }, own.annotations);
    }
    const selected = async (labelSelector: Labels) =>
      (await node.runtime.listContainers({ filter: { labelSelector } })).containers.length;
    assert.deepEqual([await selected({ maintainer: "m" }), await selected({ empty: "" })], [0, 1]);
    assert.equal(container?.metadata?.name, "c");
  });

  it("of a committed container bring nothing back, whether a pod uses it or `docker run` does", async () => {
    const engine = engineWith({});
    await using node = await startShim(engine);
    const pod = await node.runPod();
    const old = { annotations: { "io.kubernetes.container.hash": "old", gone: "1" }, labels: { gone: "1" } };
    const first = await node.createIn(pod, "c", old);
    const { labels = {} } = (await engine.containers.inspect(first)).config;
    const committed = "committed:1";
    engine.load({ name: committed, config: { command: ["sh"], labels } });
    const second = await node.createIn(pod, "c2", {
      image: { image: committed },
      annotations: { "io.kubernetes.container.hash": "new" },
    });
    const { status } = await node.runtime.containerStatus({ containerId: second });
    assert.deepEqual({ ...status?.annotations }, { "io.kubernetes.container.hash": "new" });
    assert.deepEqual({ ...status?.labels }, {});
    const { id } = await engine.containers.create({
      name: "by-hand",
      config: { image: committed, command: forever },
      host: {},
    });
    await engine.containers.start(id);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { containers } = await node.runtime.listContainers({});
    assert.deepEqual(containers.map((one) => one.id).sort(), [first, second].sort());
    await node.runtime.removePodSandbox({ podSandboxId: pod });
    assert.equal((await engine.containers.inspect(id)).state.running, true);
  });

  it("of cri-dockerd's containers are distinguished from those of the pod, if the image is known", async () => {
    const engine = engineWith({ maintainer: "m", "annotation.note": "forged", same: "s" });
    const sandbox = await engine.containers.create({
      name: "k8s_POD_web_shop_uid_3",
      config: {
        image: "registry.k8s.io/pause:3.10",
        labels: {
          "io.kubernetes.docker.type": "podsandbox",
          "io.kubernetes.container.name": "POD",
          app: "web",
        },
      },
      host: { networkMode: "none" },
    });
    await engine.containers.start(sandbox.id);
    const container = await engine.containers.create({
      name: "k8s_nginx_web_shop_uid_7",
      config: {
        image: evil,
        labels: {
          "io.kubernetes.docker.type": "container",
          "io.kubernetes.sandbox.id": sandbox.id,
          "io.kubernetes.container.logpath": "",
          "io.kubernetes.container.name": "nginx",
          "annotation.io.kubernetes.container.hash": "12ab",
          same: "other",
        },
      },
      host: { networkMode: `container:${sandbox.id}` },
    });
    await using node = await startShim(engine);
    const [pod] = (await node.runtime.listPodSandbox({})).items;
    assert.deepEqual(
      [pod?.metadata?.name, pod?.metadata?.attempt, { ...pod?.labels }],
      ["web", 3, { app: "web" }],
    );
    const { status } = await node.runtime.containerStatus({ containerId: container.id });
    assert.deepEqual([status?.metadata?.name, status?.metadata?.attempt], ["nginx", 7]);
    assert.deepEqual({ ...status?.labels }, { "io.kubernetes.container.name": "nginx", same: "other" });
    assert.deepEqual({ ...status?.annotations }, { "io.kubernetes.container.hash": "12ab" });
  });
});

describe("the size of labels", () => {
  it("of an image is no part of the lists", async () => {
    const engine = engineWith({ big: "x".repeat(4 * 1024 * 1024), small: "s" });
    await using node = await startShim(engine);
    const pod = await node.runPod();
    for (const name of ["a", "b", "c", "d", "e"]) await node.createIn(pod, name);
    const answer = await node.runtime.listContainers({});
    assert.equal(answer.containers.length, 5);
    assert.ok(toBinary(ListContainersResponseSchema, answer).length < 4096);
    const listed = JSON.stringify(await engine.containers.list(), (_key, value: unknown) => String(value));
    assert.ok(JSON.stringify(await engine.containers.list()).length < 32 * 1024, `${listed.length} bytes`);
  });

  it("is refused where an image's keys alone are too large, since they cannot be left out", async () => {
    const labels = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => [`${index}${"k".repeat(4096)}`, ""]),
    );
    const engine = engineWith(labels);
    await using node = await startShim(engine);
    await fails(
      node.createIn(await node.runPod(), "c"),
      Code.FailedPrecondition,
      /label keys of 1\d{5} bytes/,
    );
    assert.deepEqual(
      (await engine.containers.list()).map(({ names }) => names[0]),
      ["k8s_POD_pod_default_uid_0"],
    );
  });

  it("of a request is bounded, above what Kubernetes allows", async () => {
    const engine = engineWith({});
    await using node = await startShim(engine);
    const pod = await node.runPod("large", { annotations: { a: "x".repeat(256 * 1024) } });
    await node.createIn(pod, "large", { annotations: { a: "x".repeat(256 * 1024) } });
    const tooLarge = "x".repeat(600 * 1024);
    const refused = /take \d{6,7} bytes as labels of Docker: at most 524288/;
    for (const fields of [{ annotations: { a: tooLarge } }, { labels: { [tooLarge]: "" } }]) {
      await fails(node.createIn(pod, "c", fields), Code.InvalidArgument, refused);
      await fails(node.runPod("p", fields), Code.InvalidArgument, refused);
    }
    await fails(
      node.runPod(tooLarge),
      Code.InvalidArgument,
      /metadata\.name of the pod has 614400 characters/,
    );
  });
});

describe("whatever an image's labels are", () => {
  const known = [
    "maintainer",
    "annotation.x",
    "io.kubernetes.docker.type",
    "io.kubernetes.sandbox.id",
    "io.kubernetes.container.name",
    "io.kubernetes.container.logpath",
    "io.kubernetes.docker.log-directory",
    "io.kubernetes.docker.pid-namespace",
    "io.kubernetes.docker.image-volumes",
    "io.kubernetes.docker.image-export",
    "io.kubernetes.docker.own-labels",
    "io.kubernetes.docker.metadata",
    "io.kubernetes.docker.label.x",
    "io.kubernetes.docker.label.io.kubernetes.container.name",
    "toString",
  ];
  const key = fc.oneof(fc.constantFrom(...known), fc.string({ minLength: 1, maxLength: 8 }));
  const value = fc.oneof(
    fc.string({ maxLength: 6 }),
    fc.constantFrom(
      "container",
      "podsandbox",
      "{}",
      "null",
      "[]",
      "pod",
      "/",
      "../../x",
      hex,
      `sha256:${hex}`,
    ),
    fc.constantFrom(
      JSON.stringify(volumes("sha256:../x")),
      '{"image":"sha256:","keys":["maintainer"]}',
      '{"keys":7}',
    ),
  );
  const labelsOf = fc.dictionary(key, value, { maxKeys: 8, noNullPrototype: true });

  it("labels and annotations are those of the request", async () => {
    await fc.assert(
      fc.asyncProperty(labelsOf, labelsOf, labelsOf, async (foreign, labels, annotations) => {
        const engine = engineWith(foreign);
        await using node = await startShim(engine, engine.connect(), { sandboxImage: evilPause });
        const pod = await node.runPod("pod", { labels, annotations });
        const containerId = await node.createIn(pod, "c", { labels, annotations });
        await engine.containers.create({ name: "foreign", config: { image: evil }, host: {} });
        const { containers } = await node.runtime.listContainers({});
        const { items } = await node.runtime.listPodSandbox({});
        const { status } = await node.runtime.containerStatus({ containerId });
        assert.deepEqual([items.length, containers.length], [1, 1]);
        for (const told of [items[0], containers[0], status]) {
          assert.deepEqual({ ...told?.labels }, labels);
          assert.deepEqual({ ...told?.annotations }, annotations);
        }
        assert.equal(containers[0]?.podSandboxId, pod);
        await node.runtime.removePodSandbox({ podSandboxId: pod });
        assert.deepEqual(
          (await engine.containers.list()).map(({ names }) => names[0]),
          ["foreign"],
        );
      }),
      { numRuns: 40 },
    );
  });
});
