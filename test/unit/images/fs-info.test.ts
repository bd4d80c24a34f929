import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { bytesOnDisk } from "../../../src/images/filesystems.js";
import { chainIdsOf } from "../../../src/images/layer-sizes.js";
import { openImages, pauseImage, spec } from "./lab.js";

const digest = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;

describe("the disk usage of images", () => {
  const [a, b, c] = ["a", "b", "c"] as const;
  const sizes = new Map([
    ["a", 100],
    ["b", 10],
    ["c", 1],
  ]);
  const known = (chainId: string) => sizes.get(chainId);
  const unknown = () => undefined;

  it("counts a shared layer once", () => {
    const images = [
      { sizeBytes: 110, chain: [a, b] },
      { sizeBytes: 101, chain: [a, c] },
      { sizeBytes: 110, chain: [a, b] },
    ];
    assert.equal(bytesOnDisk(images, known), 111);
    assert.equal(bytesOnDisk([], known), 0);
  });

  it("takes the sizes of whole images where no layer's is known", () => {
    const images = [
      { sizeBytes: 111, chain: [a, b, c] },
      { sizeBytes: 100, chain: [a] },
      { sizeBytes: 110, chain: [a, b] },
    ];
    assert.equal(bytesOnDisk(images, unknown), 111);
    assert.equal(bytesOnDisk([{ sizeBytes: 5, chain: [] }, { chain: [a] }, { chain: [] }], unknown), 5);
  });

  it("knows layers by those below them", () => {
    const [one, two] = [digest("1"), digest("2")];
    assert.deepEqual(chainIdsOf([one, two]), [one, digest(`${one} ${two}`)]);
    assert.deepEqual(chainIdsOf([one, "../../etc"]), []);
  });
});

describe("the file systems", () => {
  const layerdb = "/var/lib/docker/image/overlay2/layerdb/sha256";

  it("are where Docker's root lies, with figures of kernel and layers", async () => {
    await using lab = await openImages({ images: ["busybox:1.36"] });
    const { files } = lab.engine.host;
    files.mountPoints.add("/var/lib");
    files.usages.set("/var/lib", {
      totalBytes: 10_000_000n,
      usedBytes: 9_000_000n,
      totalInodes: 100n,
      usedInodes: 42n,
    });
    const { layers } = await lab.engine.images.inspect("busybox:1.36");
    const folder = `${layerdb}/${(layers[0] ?? "").slice(7)}`;
    files.tree.makeDirectory(folder);
    files.tree.replace(`${folder}/size`, "1000\n", 0o644);
    const before = BigInt(Date.now()) * 1_000_000n;
    const { imageFilesystems, containerFilesystems } = await lab.images.fsInfo();
    const [images] = imageFilesystems ?? [];
    const [containers] = containerFilesystems ?? [];
    const pause = 742_785n;
    assert.equal(images?.usedBytes?.value, 1000n + pause);
    assert.equal(containers?.usedBytes?.value, 9_000_000n - 1000n - pause);
    for (const each of [images, containers]) {
      assert.equal(each.fsId?.mountpoint, "/var/lib");
      assert.equal(each.inodesUsed?.value, 42n);
      assert.ok((each.timestamp ?? 0n) >= before && (each.timestamp ?? 0n) < before + 60_000_000_000n);
    }
  });

  it("read each layer's size once, and send Docker no request", async () => {
    await using lab = await openImages();
    const { files } = lab.engine.host;
    const [layer = ""] = (await lab.engine.images.inspect(pauseImage)).layers;
    const folder = `${layerdb}/${layer.slice(7)}`;
    files.tree.makeDirectory(folder);
    files.tree.replace(`${folder}/size`, "1000", 0o644);
    const used = async () => (await lab.images.fsInfo()).imageFilesystems?.[0]?.usedBytes?.value;
    const asked = lab.engine.calls.count();
    assert.equal(await used(), 1000n);
    files.tree.replace(`${folder}/size`, "2000", 0o644);
    assert.equal(await used(), 1000n);
    assert.equal(lab.engine.calls.count(), asked);
  });

  it("do not wait for layers that cannot be read soon", async () => {
    await using lab = await openImages();
    lab.engine.host.faults.on("files.read", { delayMs: 1_000 });
    const began = Date.now();
    const { imageFilesystems } = await lab.images.fsInfo();
    assert.ok(Date.now() - began < 2_000);
    assert.equal(imageFilesystems?.[0]?.usedBytes?.value, 742_785n);
  });

  it("have those layers in a later call, also when two calls came at once", async () => {
    await using lab = await openImages();
    const { files, faults } = lab.engine.host;
    const [layer = ""] = (await lab.engine.images.inspect(pauseImage)).layers;
    const folder = `${layerdb}/${layer.slice(7)}`;
    files.tree.makeDirectory(folder);
    files.tree.replace(`${folder}/size`, "1000", 0o644);
    const used = async () => (await lab.images.fsInfo()).imageFilesystems?.[0]?.usedBytes?.value;
    const stopDelay = faults.on("files.read", { delayMs: 600 });
    assert.deepEqual(await Promise.all([used(), used()]), [742_785n, 742_785n]);
    stopDelay();
    while ((await used()) !== 1000n) await pause(20);
  });

  it("take one statfs a call: the mount is looked up once", async () => {
    await using lab = await openImages();
    const { files, faults } = lab.engine.host;
    const mountpoint = async () => (await lab.images.fsInfo()).imageFilesystems?.[0]?.fsId?.mountpoint;
    files.mountPoints.add("/var/lib");
    assert.equal(await mountpoint(), "/var/lib");
    faults.on("files.mountPointOf", { code: "EIO" });
    faults.on("files.read", { code: "EIO" });
    assert.equal(await mountpoint(), "/var/lib");
  });

  it("never report more than is used, and omit uncounted inodes", async () => {
    await using lab = await openImages();
    lab.engine.host.files.usages.set("/", {
      totalBytes: 900n,
      usedBytes: 800n,
      totalInodes: 0n,
      usedInodes: 0n,
    });
    const { imageFilesystems, containerFilesystems } = await lab.images.fsInfo();
    assert.equal(imageFilesystems?.[0]?.usedBytes?.value, 800n);
    assert.equal(containerFilesystems?.[0]?.usedBytes?.value, 0n);
    assert.equal(imageFilesystems[0].inodesUsed, undefined);
  });

  it("are containerd's where images lie in its store", async () => {
    const config = "/etc/containerd/config.toml";
    for (const [made, written, root] of [
      ["/var/lib/docker/containerd/daemon", "", "/var/lib/docker/containerd/daemon"],
      ["/srv/images", `version = 2\nroot = "/srv/images"\n[plugins]\nroot = "/tmp"\n`, "/srv/images"],
      ["/var/lib/containerd", `[grpc]\nroot = "/srv"\n`, "/var/lib/containerd"],
      ["/var/lib/containerd", undefined, "/var/lib/containerd"],
    ] as const) {
      await using lab = await openImages({ info: { containerdImageStore: true } });
      const { files } = lab.engine.host;
      files.tree.makeDirectory(made);
      files.tree.makeDirectory("/etc/containerd");
      if (written !== undefined) files.tree.replace(config, written, 0o644);
      files.mountPoints.add(root);
      const { imageFilesystems, containerFilesystems } = await lab.images.fsInfo();
      const [images, containers] = [imageFilesystems?.[0], containerFilesystems?.[0]];
      assert.deepEqual([images?.fsId?.mountpoint, containers?.fsId?.mountpoint], [root, root]);
    }
  });

  it("report what to do when Docker's folder cannot be seen", async () => {
    await using lab = await openImages();
    lab.engine.host.faults.on("files.mountPointOf", { code: "ENOENT" });
    await assert.rejects(lab.images.fsInfo(), {
      kind: "failed-precondition",
      message: /docker-cri has no access to \/var\/lib\/docker.*run docker-cri where Docker's files are/,
    });
  });

  it("hold less by an image's size when it is removed", async () => {
    await using lab = await openImages({ images: [{ name: "big:1", sizeBytes: 5_000 }] });
    const used = async () => (await lab.images.fsInfo()).imageFilesystems?.[0]?.usedBytes?.value ?? 0n;
    const before = await used();
    await lab.images.remove(spec("big:1"));
    assert.equal(before - (await used()), 5_000n);
  });
});
