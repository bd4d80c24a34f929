import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  ContainerStats,
  LinuxContainerResourcesSchema,
  Metric,
} from "../../src/gen/runtime/v1/api_pb.js";
import { cgroupFolders } from "./cgroup-folders.js";
import { openLab, run, waitUntil, type Dockerd, type EngineName } from "./lab/index.js";
import { openNode, type NodeInView } from "./proxy/node-in-view.js";
import { until } from "./streams.js";

const lab = openLab();
after(async () => {
  await lab.close();
});

const mebibyte = 1024 * 1024;

/** Two figures of what goes on meanwhile differ by 5 % at most. */
function assertClose(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= expected * 0.05, `${what}: ${actual} beside ${expected}`);
}

/** Newer kernels count the block I/O of a cgroup of v1 only once it has a limit: this one is never reached. */
async function countBlockIo(folder: string, onDisk: string): Promise<void> {
  const { dev } = await stat(onDisk);
  const numbers = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
  const isPart = existsSync(`/sys/dev/block/${numbers}/partition`);
  const disk = isPart ? await readFile(`/sys/dev/block/${numbers}/../dev`, "utf8") : numbers;
  await writeFile(`${folder}/blkio.throttle.read_bps_device`, `${disk.trim()} ${2 ** 40}`);
}

/** A server that takes whatever it is sent. */
async function listen() {
  let bytes = 0;
  const server = createServer((socket) => {
    socket.on("data", (data) => (bytes += data.length)).on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    received: async (wanted: number) => {
      for (let tenths = 0; bytes < wanted; tenths++) {
        assert.ok(tenths < 300, `only ${bytes} bytes came within 30 s`);
        await pause(100);
      }
    },
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      }),
  };
}

const engines: readonly (readonly [string, EngineName, boolean])[] = [
  ["Docker 20.10", "20.10", false],
  ["Docker 28 with containerd's store", "28", true],
];

for (const [title, engine, containerdStore] of engines) {
  describe(`stats on ${title}`, { timeout: 400_000 }, () => {
    let dockerd: Dockerd;
    let node: NodeInView;
    before(async () => {
      dockerd = await lab.dockerd({ name: "stats", engine, containerdStore });
      node = await openNode(dockerd);
    });
    after(async () => {
      await node[Symbol.asyncDispose]();
      await dockerd.stop();
    });

    const runPod = async (
      name: string,
      commands: readonly (readonly string[])[],
      resources: MessageInitShape<typeof LinuxContainerResourcesSchema> = {},
    ) => {
      const sandboxConfig = {
        metadata: { name, namespace: "stats", uid: `uid-${name}`, attempt: 0 },
        linux: { cgroupParent: `/docker-cri-stats/pod-${name}` },
      };
      const { podSandboxId: pod } = await node.cri.runtime.runPodSandbox({ config: sandboxConfig });
      const ids: string[] = [];
      for (const [index, command] of commands.entries()) {
        const { containerId } = await node.cri.runtime.createContainer({
          podSandboxId: pod,
          config: {
            metadata: { name: `c${index}` },
            image: { image: "busybox:1.36" },
            command: [...command],
            linux: { resources },
          },
          sandboxConfig,
        });
        await node.cri.runtime.startContainer({ containerId });
        ids.push(containerId);
      }
      return { pod, ids };
    };
    const end = async (pod: string) => {
      await node.cri.runtime.stopPodSandbox({ podSandboxId: pod });
      await node.cri.runtime.removePodSandbox({ podSandboxId: pod });
    };
    const statsOf = async (containerId: string): Promise<ContainerStats> => {
      const { stats } = await node.cri.runtime.containerStats({ containerId });
      assert.ok(stats);
      return stats;
    };
    const pidOf = async (id: string) =>
      Number((await dockerd.docker(["inspect", "-f", "{{.State.Pid}}", id])).stdout.trim());
    const metricsOf = async (pod: string) => {
      const { podMetrics } = await node.cri.runtime.listPodSandboxMetrics({});
      const found = podMetrics.find(({ podSandboxId }) => podSandboxId === pod);
      assert.ok(found);
      return found;
    };
    const valueOf = (metrics: readonly Metric[], name: string, label?: string) =>
      Number(
        metrics.find((one) => one.name === name && (label === undefined || one.labelValues.includes(label)))
          ?.value?.value,
      );

    it("report the CPU time and the rate of a container as the kernel does", async () => {
      // A fifth of a core is to be had on a busy machine too, at any time.
      const { pod, ids } = await runPod(
        "burn",
        [
          ["sh", "-c", "while :; do :; done"],
          ["sleep", "1000"],
        ],
        { cpuPeriod: 20_000n, cpuQuota: 4_000n },
      );
      const [burning = "", idle = ""] = ids;
      await pause(12_000);
      const folders = await cgroupFolders(await pidOf(burning));
      const kernel = async () => Number(await readFile(`${folders.get("cpuacct")}/cpuacct.usage`, "utf8"));
      const [first, firstAtMs] = [await kernel(), performance.now()];
      await pause(8_000);
      const { cpu } = await statsOf(burning);
      const [second, secondAtMs] = [await kernel(), performance.now()];
      assertClose(Number(cpu?.usageCoreNanoSeconds?.value), second, "CPU time");
      const rate = ((second - first) / ((secondAtMs - firstAtMs) * 1e6)) * 1e9;
      const told = Number(cpu?.usageNanoCores?.value);
      assert.ok(Math.abs(told - rate) < rate * 0.25, `rates over other seconds: ${told} beside ${rate}`);
      const quiet = Number((await statsOf(idle)).cpu?.usageNanoCores?.value);
      assert.ok(quiet < told / 20, `each container's own rate: ${quiet} beside ${told}`);
      const { stats } = await node.cri.runtime.podSandboxStats({ podSandboxId: pod });
      const ofPod = Number(stats?.linux?.cpu?.usageCoreNanoSeconds?.value);
      assert.ok(ofPod >= second, `the pod has used as much at least: ${ofPod}`);
      await end(pod);
    });

    it("report the memory of a container as the kernel and docker stats do", async () => {
      const touch = "dd if=/dev/zero of=/dev/shm/touched bs=1M count=48; touch /dev/shm/done; sleep 1000";
      const limit = { memoryLimitInBytes: 512n << 20n };
      const { pod, ids } = await runPod("remember", [["sh", "-c", touch]], limit);
      const [containerId = ""] = ids;
      const done = `/proc/${await pidOf(containerId)}/root/dev/shm/done`;
      await until(() => Promise.resolve(existsSync(done)));
      // The kernel adds up a group's figures every other second.
      await pause(5_000);
      const { memory } = await statsOf(containerId);
      const folder = (await cgroupFolders(await pidOf(containerId))).get("memory") ?? "";
      const usage = Number(await readFile(`${folder}/memory.usage_in_bytes`, "utf8"));
      const figures = await readFile(`${folder}/memory.stat`, "utf8");
      const of = (key: string) => Number(new RegExp(`^${key} (\\d+)$`, "m").exec(figures)?.[1]);
      assertClose(Number(memory?.workingSetBytes?.value), 48 * mebibyte, "what was touched");
      assertClose(Number(memory?.usageBytes?.value), usage, "usage");
      assertClose(Number(memory?.workingSetBytes?.value), usage - of("total_inactive_file"), "working set");
      assertClose(Number(memory?.rssBytes?.value), of("total_rss"), "anonymous memory");
      assert.equal(
        Number(memory?.availableBytes?.value),
        512 * mebibyte - Number(memory?.workingSetBytes?.value),
      );
      const { stdout } = await dockerd.docker([
        "stats",
        "--no-stream",
        "--format",
        "{{.MemUsage}}",
        containerId,
      ]);
      const [, shown = "", unit = ""] = /^([\d.]+)(MiB|GiB|KiB)/.exec(stdout) ?? [];
      const docker = Number(shown) * { KiB: 1024, MiB: mebibyte, GiB: 1024 * mebibyte }[unit as "MiB"];
      assertClose(Number(memory?.workingSetBytes?.value), docker, "docker stats");
      await end(pod);
    });

    it("report what a pod sends and which processes it has", async () => {
      await using server = await listen();
      const gateway = "$(ip route | awk '/default/ { print $3 }')";
      const send = `for i in 1 2 3; do sleep 1000 & done; head -c 8388608 /dev/zero | nc ${gateway} ${server.port}; sleep 1000`;
      const { pod, ids } = await runPod("sender", [["sh", "-c", send]]);
      await server.received(8 * mebibyte);
      const folder = (await cgroupFolders(await pidOf(ids[0] ?? ""))).get("memory") ?? "";
      // Both ends of the pipe have still to exit.
      await until(
        async () => (await readFile(`${folder}/cgroup.procs`, "utf8")).trim().split("\n").length === 4,
      );
      const dev = await readFile(`/proc/${await pidOf(pod)}/net/dev`, "utf8");
      const kernel = Number(/^ *eth0: *(?:\d+ +){8}(\d+) /m.exec(dev)?.[1]);
      const { stats: now } = await node.cri.runtime.podSandboxStats({ podSandboxId: pod });
      const sent = Number(now?.linux?.network?.defaultInterface?.txBytes?.value);
      assertClose(sent, kernel, "bytes sent");
      // With the heads of the packets, which are a twentieth of small ones.
      assert.ok(sent > 8 * mebibyte && sent < 8.8 * mebibyte, `${sent} of 8 MiB`);
      assert.equal(Number(now?.linux?.process?.processCount?.value), 5, "four, and the pod's own");
      const { containerMetrics, metrics } = await metricsOf(pod);
      const own = containerMetrics.find(({ containerId }) => containerId === ids[0])?.metrics ?? [];
      assert.equal(valueOf(own, "container_processes"), 4, "the shell has become the last of four sleeps");
      assertClose(valueOf(metrics, "container_network_transmit_bytes_total", "eth0"), kernel, "metric");
      await end(pod);
    });

    it("report what a container reads from its disk", async () => {
      const read =
        "head -c 16777216 /dev/urandom >/f; sync; touch /ready; while [ ! -e /go ]; do sleep 0.1; done; cat /f >/dev/null; touch /done; sleep 1000";
      const { pod, ids } = await runPod("reader", [["sh", "-c", read]]);
      const root = `/proc/${await pidOf(ids[0] ?? "")}/root`;
      const there = (name: string) => waitUntil(() => Promise.resolve(existsSync(`${root}/${name}`)), 60_000);
      assert.ok(await there("ready"));
      await countBlockIo(
        (await cgroupFolders(await pidOf(ids[0] ?? ""))).get("blkio") ?? "",
        dockerd.dataRoot,
      );
      // Out of the page cache, so that it has to come from the disk.
      await run("dd", [`if=${root}/f`, "iflag=nocache", "count=0"]);
      await writeFile(`${root}/go`, "");
      assert.ok(await there("done"));
      const { containerMetrics } = await metricsOf(pod);
      const metrics = containerMetrics.find(({ containerId }) => containerId === ids[0])?.metrics ?? [];
      const told = metrics.filter(({ name }) => name === "container_fs_reads_bytes_total");
      const bytes = told.reduce((sum, { value }) => sum + Number(value?.value), 0);
      assertClose(bytes, 16 * mebibyte, "bytes read");
      await end(pod);
    });

    it("report what a container writes into its layer", async () => {
      const { pod, ids } = await runPod("write", [
        ["sh", "-c", "head -c 10485760 /dev/urandom > /large; sync; sleep 1000"],
      ]);
      let layer: ContainerStats["writableLayer"];
      for (let second = 0; second < 90 && Number(layer?.usedBytes?.value ?? 0) < 10 * mebibyte; second++) {
        await pause(1_000);
        layer = (await statsOf(ids[0]!)).writableLayer;
      }
      assertClose(Number(layer?.usedBytes?.value), 10 * mebibyte, "layer");
      assert.ok(Number(layer?.inodesUsed?.value) >= 2);
      const { imageFilesystems } = await node.cri.images.imageFsInfo({});
      assert.equal(layer?.fsId?.mountpoint, imageFilesystems[0]?.fsId?.mountpoint);
      await end(pod);
    });

    it("leave out containers that die while they are read, without an error", async () => {
      const { pod, ids } = await runPod("die", [...Array<string[]>(6).fill(["sleep", "1000"])]);
      const lists = (async () => {
        const seen: number[] = [];
        for (let round = 0; round < 60; round++) {
          const { stats } = await node.cri.runtime.listContainerStats({ filter: { podSandboxId: pod } });
          for (const { cpu, memory } of stats) assert.ok(cpu && memory);
          seen.push(stats.length);
        }
        return seen;
      })();
      await dockerd.docker(["kill", ...ids.slice(0, 5)]);
      const seen = await lists;
      const { stats } = await node.cri.runtime.listContainerStats({ filter: { podSandboxId: pod } });
      assert.deepEqual(
        stats.map(({ attributes }) => attributes?.id),
        [ids[5]],
      );
      assert.ok(seen.every((count) => count >= 1 && count <= 6));
      await end(pod);
    });
  });
}

describe("stats on Docker 20.10 with vfs", { timeout: 300_000 }, () => {
  it("tell what a container has written, without the image that its layer is a copy of", async () => {
    await using dockerd = await lab.dockerd({ name: "stats-vfs", extraConfig: { "storage-driver": "vfs" } });
    await using node = await openNode(dockerd);
    const { runtime } = node.cri;
    const sandboxConfig = { metadata: { name: "vfs", namespace: "stats", uid: "uid-vfs", attempt: 0 } };
    const { podSandboxId } = await runtime.runPodSandbox({ config: sandboxConfig });
    const { containerId } = await runtime.createContainer({
      podSandboxId,
      config: {
        metadata: { name: "write" },
        image: { image: "busybox:1.36" },
        command: ["sh", "-c", "head -c 10485760 /dev/urandom > /large; sync; touch /done; sleep 1000"],
        linux: {},
      },
      sandboxConfig,
    });
    await runtime.startContainer({ containerId });
    let usedBytes = 0;
    for (let second = 0; second < 90 && usedBytes < 10 * mebibyte; second++) {
      await pause(1_000);
      const { stats } = await runtime.containerStats({ containerId });
      usedBytes = Number(stats?.writableLayer?.usedBytes?.value ?? 0);
    }
    assertClose(usedBytes, 10 * mebibyte, "layer");
    await runtime.removePodSandbox({ podSandboxId });
  });
});
