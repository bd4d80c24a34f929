import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { createClients } from "../../../src/client/index.js";
import { ContainerState } from "../../../src/client/index.js";
import { createMemoryDocker, MemoryHost, type MemoryDocker } from "../../../src/drivers/memory/index.js";
import { createShim } from "../../../src/index.js";
import { containerConfig, fails, forever, image, podConfig, until } from "./lab.js";

const mib = 1024n * 1024n;
const notes = "/var/lib/cri-dockerd/cgroup-limits";

const engines: MemoryDocker[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

type Limits = Record<string, string>;

/** A node with systemd, and a shim on it, which may start anew. */
async function openNode(options: { cgroupVersion?: 1 | 2 } = {}) {
  const host = new MemoryHost(options);
  const images = ["registry.k8s.io/pause:3.10", image];
  const engine = createMemoryDocker({ host, images, settings: { cgroupDriver: "systemd" } });
  engines.push(engine);
  const startShim = async () => {
    const shim = await createShim({
      engine: engine.connect(),
      host,
      logLevel: "silent",
      network: { plugin: "none" },
    });
    await shim.start();
    return { shim, runtime: createClients(shim.inProcessTransport()).runtime };
  };
  let { shim, runtime } = await startShim();
  const { podSandboxId } = await runtime.runPodSandbox({ config: podConfig });
  const create = async (unified: Limits, more: { memoryLimitInBytes?: bigint } = {}) => {
    const config = containerConfig("c", forever, { linux: { resources: { unified, ...more } } });
    return (await runtime.createContainer({ podSandboxId, sandboxConfig: podConfig, config })).containerId;
  };
  const cgroup = (id: string) => `/sys/fs/cgroup/system.slice/docker-${id}.scope`;
  return {
    engine,
    host,
    create,
    get runtime() {
      return runtime;
    },
    run: async (unified: Limits, more: { memoryLimitInBytes?: bigint } = {}) => {
      const containerId = await create(unified, more);
      await runtime.startContainer({ containerId });
      return containerId;
    },
    restart: async () => {
      await shim.close();
      ({ shim, runtime } = await startShim());
    },
    file: (id: string, name: string) => `${cgroup(id)}/${name}`,
    /** What a file of a container's cgroup holds. */
    read: (id: string, name: string) =>
      host.tree
        .read(`${cgroup(id)}/${name}`)
        .toString()
        .trim(),
    stateOf: async (containerId: string) => (await runtime.containerStatus({ containerId })).status?.state,
    [Symbol.asyncDispose]: () => shim.close(),
  };
}

describe("limits of cgroup v2", () => {
  it("are in the container's own cgroup when StartContainer answers", async () => {
    await using node = await openNode();
    const unified = {
      "memory.oom.group": "1",
      "memory.high": "48M",
      "memory.min": "1048576",
      "cpu.weight": "77",
    };
    const id = await node.run(unified, { memoryLimitInBytes: 64n * mib });
    for (const [file, value] of Object.entries(unified)) assert.equal(node.read(id, file), value, file);
    assert.equal(node.read(id, "memory.max"), String(64n * mib));
  });

  it("are Docker's own where Docker has one", async () => {
    await using node = await openNode();
    const id = await node.run({
      "memory.max": "64M",
      "memory.swap.max": "16M",
      "pids.max": "100",
      "cpu.max": "50000 200000",
      "cpuset.cpus": "0-1",
    });
    const { resources } = (await node.engine.containers.inspect(id)).host;
    assert.deepEqual(
      [resources?.memoryBytes, resources?.memorySwapBytes, resources?.pidsLimit, resources?.cpusetCpus],
      [Number(64n * mib), Number(80n * mib), 100, "0-1"],
    );
    assert.deepEqual([resources?.cpuQuotaMicros, resources?.cpuPeriodMicros], [50_000, 200_000]);
    assert.deepEqual(node.host.tree.exists(notes) ? node.host.tree.list(notes) : [], []);
  });

  it("hold swap off a container without a memory limit, which Docker cannot", async () => {
    await using node = await openNode();
    assert.equal(node.read(await node.run({ "memory.swap.max": "0" }), "memory.swap.max"), "0");
  });

  it("are restored when UpdateContainerResources returns, with its changes", async () => {
    await using node = await openNode();
    const containerId = await node.run({ "memory.oom.group": "1", "memory.high": "48M", "cpu.weight": "77" });
    await node.runtime.updateContainerResources({
      containerId,
      linux: { cpuShares: 512n, unified: { "memory.high": "50M" } },
    });
    assert.deepEqual(
      ["memory.oom.group", "memory.high", "cpu.weight"].map((file) => node.read(containerId, file)),
      ["1", "50M", "20"],
    );
    await node.runtime.updateContainerResources({ containerId, linux: { unified: { "memory.low": "5M" } } });
    assert.deepEqual(
      ["memory.high", "memory.low"].map((file) => node.read(containerId, file)),
      ["50M", "5M"],
    );
  });

  it("are written again after systemd or docker update has set its own", async () => {
    await using node = await openNode();
    const id = await node.run({ "memory.oom.group": "1" }, { memoryLimitInBytes: 64n * mib });
    for (let round = 0; round < 2; round++) {
      node.host.tree.overwrite(node.file(id, "memory.oom.group"), "0\n");
      // runc 1.1 does not tell systemd of "no swap".
      node.host.tree.overwrite(node.file(id, "memory.swap.max"), "max\n");
      await until(
        () => node.read(id, "memory.oom.group") === "1" && node.read(id, "memory.swap.max") === "0",
      );
    }
    await node.engine.containers.update(id, { cpuShares: 300 });
    await until(() => node.read(id, "memory.oom.group") === "1");
  });

  it("survive a restart of docker-cri, and are written for containers started or reset in between", async () => {
    await using node = await openNode();
    const id = await node.run({ "memory.high": "48M" });
    await node.runtime.updateContainerResources({
      containerId: id,
      linux: { unified: { "memory.high": "50M" } },
    });
    await node.restart();
    node.host.tree.overwrite(node.file(id, "memory.high"), "max\n");
    await until(() => node.read(id, "memory.high") === "50M");
    // As docker restart does.
    await node.engine.containers.stop(id, { graceSeconds: 1 });
    await node.engine.containers.start(id);
    await until(() => node.read(id, "memory.high") === "50M");
    const created = node.host.tree.list(notes);
    assert.deepEqual(created, [id]);
  });

  it("leave nothing behind, not of a container that went while docker-cri was down either", async () => {
    await using node = await openNode();
    const id = await node.run({ "memory.high": "48M" });
    await node.runtime.removeContainer({ containerId: id });
    await until(() => node.host.tree.list(notes).length === 0);
    const other = await node.create({ "memory.high": "48M" });
    node.host.tree.replace(`${notes}/${"f".repeat(64)}`, "{}", 0o600);
    await node.restart();
    await until(() => node.host.tree.list(notes).length === 1);
    assert.deepEqual(node.host.tree.list(notes), [other]);
  });

  it("that the kernel refuses fail the start, by name, and the container does not run", async () => {
    await using node = await openNode();
    const id = await node.create({ "io.max": "8:0 rbps=x" });
    await fails(node.runtime.startContainer({ containerId: id }), Code.FailedPrecondition, /io\.max.*ENOENT/);
    assert.equal(await node.stateOf(id), ContainerState.CONTAINER_EXITED);
  });

  it("that the kernel refuses in an update stay as they were", async () => {
    await using node = await openNode();
    const containerId = await node.run({ "memory.high": "48M" });
    await fails(
      node.runtime.updateContainerResources({
        containerId,
        linux: { unified: { "memory.high": "50M", "memory.zswap.max": "1M" } },
      }),
      Code.FailedPrecondition,
      /memory\.zswap\.max/,
    );
    assert.equal(node.read(containerId, "memory.high"), "48M");
  });

  it("that cannot be noted leave no container", async () => {
    await using node = await openNode();
    node.host.faults.on("files.writeAtomic", { code: "ENOSPC", times: 1 });
    await assert.rejects(node.create({ "memory.high": "48M" }), /ENOSPC/);
    assert.equal((await node.runtime.listContainers({})).containers.length, 0);
  });

  for (const [file, value, code, text] of [
    ["memory.hihg", "1", Code.Unimplemented, /"memory\.hihg".*is not a cgroup v2 limit/],
    ["cgroup.procs", "1", Code.Unimplemented, /"cgroup\.procs"/],
    ["../memory.high", "1", Code.Unimplemented, /"\.\.\/memory\.high"/],
    ["memory.high", "1\n2", Code.InvalidArgument, /"memory\.high"/],
    ["memory.oom.group", "2", Code.InvalidArgument, /"memory\.oom\.group"/],
    ["memory.max", "0", Code.InvalidArgument, /memory\.max/],
    ["pids.max", "0", Code.InvalidArgument, /pids\.max/],
    ["hugetlb.2MB.max", "x", Code.InvalidArgument, /hugetlb\.2MB\.max/],
  ] as const) {
    it(`are refused by name: ${file} of ${JSON.stringify(value)}`, async () => {
      await using node = await openNode();
      await fails(node.create(Object.fromEntries([[file, value]])), code, text);
    });
  }

  it("are refused on cgroup v1", async () => {
    await using node = await openNode({ cgroupVersion: 1 });
    await fails(node.create({ "memory.oom.group": "1" }), Code.Unimplemented, /cgroup v1/);
  });
});
