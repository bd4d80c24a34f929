import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { createClients, type Clients } from "../../../src/client/index.js";
import { createMemoryDocker, type MemoryDocker } from "../../../src/drivers/memory/index.js";
import { createShim } from "../../../src/index.js";
import { containerConfig, fails, forever, image, podConfig, until } from "./lab.js";

const model = "registry.example/model:1";
const root = "/var/lib/cri-dockerd/image-volumes";

const engines: MemoryDocker[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

/** An engine that cannot mount images, and an image to be a volume. */
function oldEngine(apiVersion: readonly [number, number] = [1, 41]): MemoryDocker {
  const engine = createMemoryDocker({
    images: [
      "registry.k8s.io/pause:3.10",
      image,
      { name: model, files: { "/weights/a": "1", "/readme": "r" } },
    ],
    settings: { apiVersion },
  });
  engines.push(engine);
  return engine;
}

/** A shim over the engine, as at a start of the program. */
async function startShim(engine: MemoryDocker) {
  const shim = await createShim({
    engine: engine.connect(),
    host: engine.host,
    logLevel: "silent",
    network: { plugin: "none" },
  });
  await shim.start();
  const { runtime } = createClients(shim.inProcessTransport());
  return { shim, runtime, [Symbol.asyncDispose]: () => shim.close() };
}

type Runtime = Clients["runtime"];

const runPod = async (runtime: Runtime) => (await runtime.runPodSandbox({ config: podConfig })).podSandboxId;

function createWith(
  runtime: Runtime,
  podSandboxId: string,
  name: string,
  mount: { readonly imageSubPath?: string; readonly image?: { readonly image: string } } = {},
  signal?: AbortSignal,
) {
  const mounts = [{ containerPath: "/model", readonly: true, image: { image: model }, ...mount }];
  const config = containerConfig(name, forever, { mounts });
  return runtime
    .createContainer({ podSandboxId, sandboxConfig: podConfig, config }, signal ? { signal } : {})
    .then(({ containerId }) => containerId);
}

const folders = (engine: MemoryDocker) => engine.host.files.list(root);
const exports = (engine: MemoryDocker) => engine.calls.count("containers.export");
/** The containers that are there only to be exported. */
const helpers = async (engine: MemoryDocker) =>
  (await engine.containers.list({ labels: { "io.kubernetes.docker.image-export": undefined } })).length;

describe("images as volumes, on an engine that cannot mount them", () => {
  it("are unpacked once, shown as images, and removed with their last container", async () => {
    const engine = oldEngine();
    await using node = await startShim(engine);
    const { runtime } = node;
    const pod = await runPod(runtime);
    const [first = "", second = ""] = await Promise.all(
      ["one", "two"].map((name) => createWith(runtime, pod, name)),
    );
    assert.deepEqual([exports(engine), await helpers(engine)], [1, 0]);
    const [folder] = await folders(engine);
    assert.match(folder ?? "", /^[0-9a-f]{64}$/);
    const { host, mounts } = await engine.containers.inspect(first);
    assert.deepEqual(host.mounts, [
      { type: "bind", source: `${root}/${folder}`, target: "/model", readonly: true },
    ]);
    assert.equal(mounts[0]?.writable, false);
    await runtime.startContainer({ containerId: first });
    const cmd = ["cat", "/model/weights/a"];
    const { stdout } = await runtime.execSync({ containerId: first, cmd });
    assert.equal(Buffer.from(stdout).toString(), "1");
    const { status } = await runtime.containerStatus({ containerId: first });
    const [mount] = status?.mounts ?? [];
    assert.deepEqual([mount?.image?.image, mount?.hostPath, mount?.readonly], [model, "", true]);
    assert.equal("io.kubernetes.docker.image-volumes" in (status?.labels ?? {}), false);

    await runtime.removeContainer({ containerId: first });
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(await folders(engine), [folder]);
    await runtime.removeContainer({ containerId: second });
    await until(async () => (await folders(engine)).length === 0);
    await createWith(runtime, pod, "three");
    assert.equal(exports(engine), 2);
  });

  it("go also when Docker alone removes their last container", async () => {
    const engine = oldEngine();
    await using node = await startShim(engine);
    const id = await createWith(node.runtime, await runPod(node.runtime), "one");
    await engine.containers.remove(id, { force: true });
    await until(async () => (await folders(engine)).length === 0);
  });

  it("show a folder or a file of the image alone, found without leaving it", async () => {
    const engine = oldEngine();
    await using node = await startShim(engine);
    const { runtime } = node;
    const pod = await runPod(runtime);
    const id = await createWith(runtime, pod, "one", { imageSubPath: "weights/" });
    const [folder = ""] = await folders(engine);
    const { tree } = engine.host;
    tree.symlink("/weights", `${root}/${folder}/absolute`);
    tree.symlink("../../../../../weights", `${root}/${folder}/climbs`);
    tree.symlink("loop", `${root}/${folder}/loop`);
    tree.symlink("/etc/passwd", `${root}/${folder}/away`);
    tree.replace("/etc/passwd", "root", 0o644);
    const { status } = await runtime.containerStatus({ containerId: id });
    assert.equal(status?.mounts[0]?.imageSubPath, "weights/");
    const found: [path: string, where: string][] = [
      ["weights/a", "/weights/a"],
      ["absolute/a", "/weights/a"],
      ["climbs", "/weights"],
      ["./readme", "/readme"],
    ];
    for (const [index, [imageSubPath, where]] of found.entries()) {
      const made = await createWith(runtime, pod, `found${index}`, { imageSubPath });
      const { mounts } = await engine.containers.inspect(made);
      assert.equal(mounts[0]?.source, `${root}/${folder}${where}`);
    }
    for (const imageSubPath of ["none", "weights/a/b", "readme/x", "loop", "away"]) {
      await fails(
        createWith(runtime, pod, "lost", { imageSubPath }),
        Code.NotFound,
        /the image registry\.example\/model:1 for \/model has no sub-path/,
      );
    }
    for (const imageSubPath of ["/weights", "a/../../b"])
      await fails(createWith(runtime, pod, "bad", { imageSubPath }), Code.InvalidArgument, /image_sub_path/);
  });

  it("need an existing image", async () => {
    const engine = oldEngine();
    await using node = await startShim(engine);
    const pod = await runPod(node.runtime);
    await fails(
      createWith(node.runtime, pod, "one", { image: { image: "nobody:1" } }),
      Code.NotFound,
      /image nobody:1 for \/model is not on the node: pull it first/,
    );
    assert.deepEqual(await folders(engine), []);
  });

  it("leave nothing half made when the engine or the disk fails, and work on the retry", async () => {
    const engine = oldEngine();
    await using node = await startShim(engine);
    const { runtime } = node;
    const pod = await runPod(runtime);
    engine.faults.on("containers.export", { error: "unavailable", times: 1 });
    await fails(createWith(runtime, pod, "one"), Code.Unavailable, /./);
    engine.host.faults.on("trees.unpack", { code: "ENOSPC", times: 1 });
    await fails(createWith(runtime, pod, "one"), Code.ResourceExhausted, /cannot unpack the image sha256:/);
    assert.deepEqual([await folders(engine), await helpers(engine)], [[], 0]);
    await createWith(runtime, pod, "one");
    assert.equal((await folders(engine)).length, 1);
  });

  it("are kept for a retry after a cancelled or failed create, and not unpacked again", async () => {
    const engine = oldEngine();
    await using node = await startShim(engine);
    const { runtime } = node;
    const pod = await runPod(runtime);
    const { trees } = engine.host;
    const unpack = trees.unpack.bind(trees);
    let goOn: () => void = () => undefined;
    const whenCancelled = new Promise<void>((resolve) => (goOn = resolve));
    let unpacking = false;
    trees.unpack = async (...args) => {
      unpacking = true;
      await whenCancelled;
      await unpack(...args);
    };
    const caller = new AbortController();
    const gone = createWith(runtime, pod, "one", {}, caller.signal);
    await until(() => unpacking);
    caller.abort();
    await fails(gone, Code.Canceled, /./);
    engine.faults.on("containers.create", { error: "unavailable", times: 1 });
    const refused = fails(createWith(runtime, pod, "one"), Code.Unavailable, /./);
    goOn();
    await refused;
    await createWith(runtime, pod, "one");
    assert.deepEqual([exports(engine), await helpers(engine)], [1, 0]);
  });

  it("outlive a restart with their containers, and without them do not", async () => {
    const engine = oldEngine();
    let pod: string;
    {
      await using node = await startShim(engine);
      pod = await runPod(node.runtime);
      await createWith(node.runtime, pod, "one");
    }
    const [folder = ""] = await folders(engine);
    // What a crash leaves: a folder that nobody sees, a half unpacked one, a container that was being exported.
    const orphan = "f".repeat(64);
    engine.host.tree.makeDirectory(`${root}/${orphan}/etc`);
    engine.host.tree.makeDirectory(`${root}/.${folder}.abc.tmp/etc`);
    await engine.containers.create({
      name: "docker-cri-export-old",
      config: { image, command: ["/"], labels: { "io.kubernetes.docker.image-export": "before" } },
      host: {},
    });
    await using node = await startShim(engine);
    await until(async () => (await folders(engine)).length === 1 && (await helpers(engine)) === 0);
    assert.deepEqual(await folders(engine), [folder]);
    await createWith(node.runtime, pod, "two");
    assert.equal(exports(engine), 1);
    const { containers } = await node.runtime.listContainers({});
    for (const { id } of containers) await node.runtime.removeContainer({ containerId: id });
    await until(async () => (await folders(engine)).length === 0);
  });

  it("are not unpacked where the engine mounts them itself", async () => {
    const engine = oldEngine([1, 48]);
    await using node = await startShim(engine);
    const id = await createWith(node.runtime, await runPod(node.runtime), "one", { imageSubPath: "weights" });
    assert.equal(exports(engine), 0);
    const { host } = await engine.containers.inspect(id);
    assert.deepEqual(host.mounts, [
      { type: "image", source: model, target: "/model", readonly: true, imageSubpath: "weights" },
    ]);
  });

  it("have their sub-path refused at the create, not at the start, where the engine mounts them itself", async () => {
    const engine = oldEngine([1, 48]);
    await using node = await startShim(engine);
    const { runtime } = node;
    const pod = await runPod(runtime);
    const asked = { imageSubPath: "none" };
    await fails(
      createWith(runtime, pod, "one", asked),
      Code.NotFound,
      /the image registry\.example\/model:1 for \/model has no sub-path "none": .*cannot access path/,
    );
    assert.deepEqual((await runtime.listContainers({})).containers, []);
    engine.faults.on("containers.resolveMounts", { error: "unavailable", times: 1 });
    await fails(createWith(runtime, pod, "one", { imageSubPath: "readme" }), Code.Unavailable, /./);
    assert.equal((await engine.containers.list()).length, 1);
    await createWith(runtime, pod, "one", { imageSubPath: "readme" });
    await createWith(runtime, pod, "whole");
    assert.equal(engine.calls.count("containers.resolveMounts"), 3);
  });
});
