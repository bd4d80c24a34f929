import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Images } from "../../../src/images/index.js";
import { Inventory, type WorkloadRecord } from "../../../src/inventory/index.js";
import { WritableLayers } from "../../../src/stats/layers.js";
import { LayerFolders, upperFolderOf } from "../../../src/stats/layer-folders.js";
import { MemoryHost } from "../../../src/testing/index.js";
import { statsLab, untilKnown } from "./lab.js";

const id = "5f0c".padEnd(64, "a1");

describe("the writable layer of a container", () => {
  it("is measured in the background, and reported with its time", async () => {
    await using lab = await statsLab();
    // A new container is walked at once: this one has time to write before.
    lab.engine.host.faults.on("trees.usage", { delayMs: 1_000, times: 1 });
    const { ids } = await lab.runPod("web");
    const [containerId = ""] = ids;
    const layer = async () => (await lab.runtime.containerStats({ containerId })).stats?.writableLayer;
    lab.engine.host.tree.append(`/var/lib/docker/overlay2/${containerId}/diff/log`, "x".repeat(10_000));
    const first = await untilKnown(layer);
    assert.equal(first.usedBytes?.value, 4_096n + 12_288n);
    assert.equal(first.inodesUsed?.value, 2n);
    assert.equal(first.fsId?.mountpoint, "/");
    lab.engine.host.tree.append(`/var/lib/docker/overlay2/${containerId}/diff/more`, "x");
    const again = await layer();
    assert.deepEqual(again, first, "no call walks: the old value has its old time");
    const { stats } = await lab.runtime.listContainerStats({});
    assert.deepEqual(stats[0]?.writableLayer, first);
    await lab.runtime.stopContainer({ containerId, timeout: 0n });
    assert.deepEqual(await layer(), first, "it stays when the container ends");
    const { podMetrics } = await lab.runtime.listPodSandboxMetrics({});
    assert.deepEqual(podMetrics[0]?.containerMetrics, []);
  });

  it("is measured before the old ones of a round that is under way", async () => {
    await using lab = await statsLab();
    const inventory = lab.shim.resolve(Inventory);
    const { ids: old } = await lab.runPod("old", ["a", "b", "c", "d"]);
    const walked: string[] = [];
    const usage = lab.engine.host.trees.usage.bind(lab.engine.host.trees);
    const trees = Object.assign(Object.create(lab.engine.host.trees) as MemoryHost["trees"], {
      usage: async (...args: Parameters<typeof usage>) => {
        walked.push(old.find((each) => args[0].includes(each)) ?? "new");
        // The second round has begun with one large layer.
        if (walked.length === old.length + 1) await lab.runPod("young");
        return await usage(...args);
      },
    });
    const host = Object.assign(Object.create(lab.engine.host) as MemoryHost, { trees });
    const layers = new WritableLayers(host, inventory, lab.shim.resolve(Images), lab.shim.log, 100);
    layers.start();
    await untilKnown(() => Promise.resolve(walked.length > 2 * old.length ? walked : undefined));
    layers.close();
    assert.deepEqual(walked.slice(0, 2 * old.length + 1), [...old, old[0], "new", ...old.slice(1)]);
  });

  it("is a metric with the disk that it lies on", async () => {
    await using lab = await statsLab();
    const { ids } = await lab.runPod("web");
    const metrics = async () =>
      (await lab.runtime.listPodSandboxMetrics({})).podMetrics[0]?.containerMetrics[0]?.metrics;
    const named = async (name: string) => (await metrics())?.find((metric) => metric.name === name);
    const usage = await untilKnown(() => named("container_fs_usage_bytes"));
    assert.equal(usage.value?.value, 4_096n);
    assert.ok(usage.timestamp > 0n, "it was measured before the call");
    assert.equal((await named("container_fs_limit_bytes"))?.value?.value, 64n * 1024n ** 3n);
    assert.equal((await named("container_fs_inodes_total"))?.value?.value, 4_194_304n);
    assert.equal(ids.length, 1);
  });
});

describe("where a writable layer lies", () => {
  const find = async (host: MemoryHost, info: object, docker: object) => {
    const inventory = { engine: () => ({ info }) } as unknown as Inventory;
    const record = {
      id,
      docker: { state: { running: true, pid: 77 }, ...docker },
    } as unknown as WorkloadRecord;
    return await new LayerFolders(host, inventory).of(record);
  };

  it("is Docker's word for overlay2", async () => {
    const upperDirectory = "/var/lib/docker/overlay2/ab/diff";
    const found = await find(new MemoryHost(), { storageDriver: "overlay2" }, { upperDirectory });
    assert.deepEqual(found, { folder: upperDirectory });
  });

  it("is in Docker's notes for vfs, beside the copy that it began with", async () => {
    const host = new MemoryHost();
    const root = "/var/lib/docker";
    const mount = "cd".repeat(32);
    host.tree.makeDirectory(`${root}/image/vfs/layerdb/mounts/${id}`);
    host.tree.replace(`${root}/image/vfs/layerdb/mounts/${id}/mount-id`, mount, 0o600);
    const info = { storageDriver: "vfs", rootDirectory: root };
    assert.deepEqual(await find(host, info, {}), {
      folder: `${root}/vfs/dir/${mount}`,
      unlessIn: `${root}/vfs/dir/${mount}-init`,
    });
    host.tree.replace(`${root}/image/vfs/layerdb/mounts/${id}/mount-id`, "../../../etc", 0o600);
    assert.equal(await find(host, info, {}), undefined);
  });

  it("is the upper folder of the container's root mount, for containerd's store", async () => {
    const host = new MemoryHost();
    const upper = "/var/lib/docker/containerd/daemon/io.containerd.snapshotter.v1.overlayfs/snapshots/31/fs";
    host.tree.makeDirectory("/proc/77");
    host.tree.replace("/proc/77/mountinfo", mountinfo(`lowerdir=/a:/b,upperdir=${upper},workdir=/w`), 0o444);
    host.tree.replace("/proc/77/cgroup", `0::/docker/${id}\n`, 0o444);
    const info = { storageDriver: "overlayfs", containerdImageStore: true };
    assert.deepEqual(await find(host, info, {}), { folder: upper });
    host.tree.replace("/proc/77/cgroup", "0::/user.slice\n", 0o444);
    assert.equal(await find(host, info, {}), undefined, "another process has taken over the pid");
  });

  it("is unknown for another kind of root", () => {
    assert.equal(upperFolderOf(mountinfo("lowerdir=/a")), undefined);
    assert.equal(upperFolderOf(mountinfo("upperdir=l/relative")), undefined);
    assert.equal(upperFolderOf("31 30 8:1 /x / rw - ext4 /dev/sda1 rw\n"), undefined);
    assert.equal(upperFolderOf(""), undefined);
  });
});

function mountinfo(options: string): string {
  return `32 31 0:5 / /proc rw - proc proc rw\n31 30 0:44 / / rw,relatime - overlay overlay rw,${options}\n`;
}
