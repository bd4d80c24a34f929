import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { createClients } from "../../../src/client/index.js";
import { createShim } from "../../../src/composition/index.js";
import { statsLab } from "./lab.js";

const ids = (stats: readonly { attributes?: { id: string } | undefined }[]) =>
  stats.map(({ attributes }) => attributes?.id).sort();

async function collect<T>(chunks: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

describe("the stats of containers", () => {
  it("report the kernel's counters of each, with its name", async () => {
    await using lab = await statsLab();
    const { runtime, engine } = lab;
    const { ids: both } = await lab.runPod("web", ["app", "sidecar"]);
    const [app = "", sidecar = ""] = both;
    engine.use(app, { cpuNanos: 7_000_000_000, memoryBytes: 9_000, inactiveFileBytes: 2_000, swapBytes: 30 });
    engine.use(sidecar, { cpuNanos: 1_000_000_000, memoryBytes: 500, inactiveFileBytes: 900 });
    const { stats } = await runtime.listContainerStats({});
    assert.deepEqual(ids(stats), [...both].sort());
    const of = (id: string) => stats.find(({ attributes }) => attributes?.id === id)!;
    assert.deepEqual({ ...of(app).attributes?.labels }, { app: "app" });
    assert.deepEqual({ ...of(app).attributes?.annotations }, { of: "web" });
    assert.equal(of(app).attributes?.metadata?.name, "app");
    assert.equal(of(app).cpu?.usageCoreNanoSeconds?.value, 7_000_000_000n);
    assert.equal(of(app).memory?.workingSetBytes?.value, 7_000n);
    assert.equal(of(app).memory?.usageBytes?.value, 9_000n);
    assert.equal(of(app).memory?.rssBytes?.value, 524_288n);
    assert.equal(of(app).memory?.pageFaults?.value, 400n);
    assert.equal(of(app).memory?.majorPageFaults?.value, 2n);
    assert.equal(of(app).memory?.availableBytes, undefined, "without a limit");
    assert.equal(of(app).swap?.swapUsageBytes?.value, 30n);
    assert.equal(of(sidecar).cpu?.usageCoreNanoSeconds?.value, 1_000_000_000n);
    assert.equal(of(sidecar).memory?.workingSetBytes?.value, 0n, "more inactive file than is used");
    for (const { cpu, memory, swap } of stats) {
      for (const part of [cpu, memory, swap]) assert.ok((part?.timestamp ?? 0n) > 1_600_000_000_000_000_000n);
      assert.ok(cpu?.usageNanoCores, "the first caller gets a rate");
    }
    const one = await runtime.containerStats({ containerId: app });
    assert.equal(one.stats?.cpu?.usageCoreNanoSeconds?.value, 7_000_000_000n);
  });

  it("are filtered by id, pod and labels, all of which must hold", async () => {
    await using lab = await statsLab();
    const { runtime } = lab;
    const web = await lab.runPod("web", ["app", "sidecar"]);
    const db = await lab.runPod("db", ["app"]);
    const list = async (filter: {
      id?: string;
      podSandboxId?: string;
      labelSelector?: Record<string, string>;
    }) => ids((await runtime.listContainerStats({ filter })).stats);
    assert.deepEqual(await list({}), [...web.ids, ...db.ids].sort());
    assert.deepEqual(await list({ id: web.ids[0]! }), [web.ids[0]]);
    assert.deepEqual(await list({ id: web.ids[0]!.slice(0, 20) }), [web.ids[0]], "by the beginning of an id");
    assert.deepEqual(await list({ podSandboxId: db.pod }), db.ids);
    assert.deepEqual(await list({ labelSelector: { app: "app" } }), [web.ids[0], db.ids[0]].sort());
    assert.deepEqual(await list({ podSandboxId: web.pod, labelSelector: { app: "app" } }), [web.ids[0]]);
    assert.deepEqual(await list({ id: web.ids[0]!, podSandboxId: db.pod }), []);
    const pods = async (filter: { id?: string; labelSelector?: Record<string, string> }) =>
      ids((await runtime.listPodSandboxStats({ filter })).stats);
    assert.deepEqual(await pods({}), [web.pod, db.pod].sort());
    assert.deepEqual(await pods({ id: db.pod }), [db.pod]);
    assert.deepEqual(await pods({ labelSelector: { pod: "web" } }), [web.pod]);
    assert.deepEqual(await pods({ labelSelector: { pod: "other" } }), []);
  });

  it("come in chunks that are one list together", async () => {
    await using lab = await statsLab();
    const { runtime } = lab;
    const { pod, ids: containers } = await lab.runPod("web", ["a", "b", "c"]);
    const chunks = await collect(runtime.streamContainerStats({}));
    assert.deepEqual(ids(chunks.flatMap(({ containerStats }) => containerStats)), [...containers].sort());
    const podChunks = await collect(runtime.streamPodSandboxStats({ filter: { id: pod } }));
    assert.deepEqual(ids(podChunks.flatMap(({ podSandboxStats }) => podSandboxStats)), [pod]);
  });

  it("omit a stopped container from lists, and report only its known values", async () => {
    await using lab = await statsLab();
    const { runtime, engine } = lab;
    const { ids: both } = await lab.runPod("web", ["app", "sidecar"]);
    const [app = "", sidecar = ""] = both;
    await runtime.stopContainer({ containerId: app, timeout: 0n });
    assert.deepEqual(ids((await runtime.listContainerStats({})).stats), [sidecar]);
    const { stats } = await runtime.containerStats({ containerId: app });
    assert.equal(stats?.attributes?.metadata?.name, "app");
    assert.equal(stats.cpu, undefined, "unknown, not 0");
    assert.equal(stats.memory, undefined);
    engine.pause(sidecar);
    assert.deepEqual(
      ids((await runtime.listContainerStats({})).stats),
      [sidecar],
      "a paused one still uses memory",
    );
  });

  it("omit only the container whose cgroup is gone before Docker has noticed", async () => {
    await using lab = await statsLab();
    const { runtime, engine } = lab;
    const { pod, ids: both } = await lab.runPod("web", ["app", "sidecar"]);
    const [app = "", sidecar = ""] = both;
    engine.host.tree.removeAll(`/sys/fs/cgroup/kubepods/burstable/poduid-web/${app}`);
    assert.deepEqual(ids((await runtime.listContainerStats({})).stats), [sidecar]);
    const { stats } = await runtime.podSandboxStats({ podSandboxId: pod });
    assert.deepEqual(ids(stats?.linux?.containers ?? []), [sidecar]);
  });

  it("are NOT_FOUND for a missing container or pod", async () => {
    await using lab = await statsLab();
    const notFound = (error: unknown) => error instanceof ConnectError && error.code === Code.NotFound;
    await assert.rejects(lab.runtime.containerStats({ containerId: "ab".repeat(32) }), notFound);
    await assert.rejects(lab.runtime.podSandboxStats({ podSandboxId: "ab".repeat(32) }), notFound);
    assert.deepEqual((await lab.runtime.listContainerStats({ filter: { id: "ab".repeat(32) } })).stats, []);
  });

  it("are of rates that no caller changes", async () => {
    await using lab = await statsLab();
    const { ids: containers } = await lab.runPod("web");
    const [containerId = ""] = containers;
    lab.engine.use(containerId, { cpuNanos: 3_000_000_000 });
    const { status } = await lab.runtime.containerStatus({ containerId });
    const ask = async () => (await lab.runtime.listContainerStats({})).stats[0]?.cpu;
    await ask();
    for (const cpu of await Promise.all(Array.from({ length: 20 }, ask))) {
      // Of so young a container, over its life: all the callers between do not shorten that.
      const life = Number((cpu?.timestamp ?? 0n) - (status?.startedAt ?? 0n));
      const used = (Number(cpu?.usageNanoCores?.value) * life) / 1e9;
      assert.ok(Math.abs(used / 3_000_000_000 - 1) < 0.05, String(used));
    }
  });

  it("have a rate for the time at which the counter was read, however long the rest takes to read", async (t) => {
    await using lab = await statsLab();
    const { ids: containers } = await lab.runPod("web");
    const [containerId = ""] = containers;
    lab.engine.use(containerId, { cpuNanos: 3_000_000_000 });
    const { status } = await lab.runtime.containerStatus({ containerId });
    const { kernel } = lab.engine.host;
    const readNow = kernel.readNow.bind(kernel);
    t.mock.method(kernel, "readNow", (path: string) => {
      const until = performance.now() + (path.includes("memory") ? 200 : 0);
      while (performance.now() < until);
      return readNow(path);
    });
    const { cpu } = (await lab.runtime.listContainerStats({})).stats[0] ?? {};
    const life = Number((cpu?.timestamp ?? 0n) - (status?.startedAt ?? 0n));
    const used = (Number(cpu?.usageNanoCores?.value) * life) / 1e9;
    assert.ok(Math.abs(used / 3_000_000_000 - 1) < 0.001, String(used));
  });

  it("are there at once from a shim that has just begun, with counters and rates", async () => {
    await using lab = await statsLab();
    const { ids: containers } = await lab.runPod("web");
    const [containerId = ""] = containers;
    lab.engine.use(containerId, {
      cpuNanos: 3_000_000_000,
      memoryBytes: 5_000_000,
      inactiveFileBytes: 1_000_000,
    });
    const { status } = await lab.runtime.containerStatus({ containerId });
    const { engine } = lab;
    const options = {
      engine: engine.connect(),
      host: engine.host,
      network: { plugin: "none" },
      log: lab.shim.log,
    } as const;
    await using again = await createShim(options);
    await again.start();
    const { runtime } = createClients(again.inProcessTransport());
    for (let round = 0; round < 2; round++) {
      const [stats] = (await runtime.listContainerStats({})).stats;
      assert.equal(stats?.cpu?.usageCoreNanoSeconds?.value, 3_000_000_000n);
      assert.equal(stats.memory?.workingSetBytes?.value, 4_000_000n);
      const life = Number(stats.cpu.timestamp - (status?.startedAt ?? 0n));
      const used = (Number(stats.cpu.usageNanoCores?.value) * life) / 1e9;
      assert.ok(Math.abs(used / 3_000_000_000 - 1) < 0.05, String(used));
    }
  });

  it("have true rates and times after the clock was set back by an hour", async (t) => {
    await using lab = await statsLab();
    await lab.runPod("web");
    await lab.runtime.listContainerStats({});
    const hourAgoMs = Date.now() - 3_600_000;
    t.mock.timers.enable({ apis: ["Date"], now: hourAgoMs });
    const { stats } = await lab.runtime.listContainerStats({});
    const { timestamp, usageNanoCores } = stats[0]?.cpu ?? {};
    assert.equal(timestamp, BigInt(hourAgoMs) * 1_000_000n);
    assert.equal(usageNanoCores?.value, 0n, "the container has used nothing since its first sample");
  });

  it("send Docker no request", async () => {
    await using lab = await statsLab();
    await lab.runPod("web");
    await lab.runtime.listContainerStats({});
    lab.engine.calls.reset();
    await lab.runtime.listContainerStats({});
    await lab.runtime.listPodSandboxStats({});
    assert.equal(lab.engine.calls.count(), 0);
  });
});

describe("the stats of pods", () => {
  it("are of the pod's own cgroup, its network and each container", async () => {
    await using lab = await statsLab();
    const { runtime, engine } = lab;
    const { pod, ids: both } = await lab.runPod("web", ["app", "sidecar"]);
    engine.use(pod, {
      cpuNanos: 1_000,
      memoryBytes: 100,
      inactiveFileBytes: 0,
      receivedBytes: 5_000,
      sentBytes: 6_000,
    });
    engine.use(both[0]!, { cpuNanos: 2_000_000, memoryBytes: 3_000, inactiveFileBytes: 500 });
    engine.use(both[1]!, { cpuNanos: 3_000_000, memoryBytes: 4_000, inactiveFileBytes: 0 });
    const { stats } = await runtime.podSandboxStats({ podSandboxId: pod });
    const linux = stats?.linux;
    assert.deepEqual({ ...stats?.attributes?.labels }, { pod: "web" });
    assert.equal(stats?.attributes?.metadata?.uid, "uid-web");
    assert.equal(linux?.cpu?.usageCoreNanoSeconds?.value, 5_001_000n);
    assert.ok(linux.cpu.usageNanoCores);
    assert.equal(linux.memory?.usageBytes?.value, 7_100n);
    assert.equal(linux.memory.workingSetBytes?.value, 6_600n);
    assert.equal(linux.process?.processCount?.value, 3n);
    assert.equal(linux.network?.defaultInterface?.name, "eth0");
    assert.equal(linux.network.defaultInterface.rxBytes?.value, 5_000n);
    assert.equal(linux.network.defaultInterface.txBytes?.value, 6_000n);
    assert.equal(linux.network.defaultInterface.rxErrors?.value, 0n);
    assert.deepEqual(ids(linux.containers), [...both].sort());
    const working = linux.containers.map(({ memory }) => memory?.workingSetBytes?.value);
    assert.deepEqual(working.sort(), [2_500n, 4_000n], "each container's own, not the pod's");
  });

  it("have no network on the node's", async () => {
    await using lab = await statsLab();
    const onNode = { linux: { securityContext: { namespaceOptions: { network: 2 } } } };
    const { pod } = await lab.runPod("agent", ["app"], onNode);
    const { stats } = await lab.runtime.podSandboxStats({ podSandboxId: pod });
    assert.ok(stats?.linux?.cpu);
    assert.equal(stats.linux.network, undefined);
  });

  it("are the sums of the containers where pods have no cgroups of their own", async () => {
    await using lab = await statsLab();
    const shared = { linux: { cgroupParent: "/shared" } };
    const web = await lab.runPod("web", ["app", "sidecar"], shared);
    const db = await lab.runPod("db", ["app"], { linux: { cgroupParent: "" } });
    await lab.runPod("other", ["app"], shared);
    for (const id of [web.pod, ...web.ids, db.pod, ...db.ids])
      lab.engine.use(id, { cpuNanos: 1_000, memoryBytes: 10, inactiveFileBytes: 0 });
    const { stats } = await lab.runtime.listPodSandboxStats({});
    const of = (id: string) => stats.find(({ attributes }) => attributes?.id === id)?.linux;
    assert.equal(of(web.pod)?.memory?.workingSetBytes?.value, 30n);
    assert.equal(of(web.pod)?.cpu?.usageCoreNanoSeconds?.value, 3_000n);
    assert.equal(of(web.pod)?.process?.processCount?.value, 3n);
    assert.equal(of(db.pod)?.memory?.workingSetBytes?.value, 20n);
  });

  it("omit a stopped pod", async () => {
    await using lab = await statsLab();
    const web = await lab.runPod("web");
    const db = await lab.runPod("db");
    await lab.runtime.stopPodSandbox({ podSandboxId: web.pod });
    assert.deepEqual(ids((await lab.runtime.listPodSandboxStats({})).stats), [db.pod]);
    const { stats } = await lab.runtime.podSandboxStats({ podSandboxId: web.pod });
    assert.equal(stats?.attributes?.id, web.pod);
    assert.equal(stats.linux?.cpu, undefined);
  });
});
