import assert from "node:assert/strict";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { serveUnixSocket } from "../../src/adapters/unix-socket/index.js";
import { engines, kib, Node, World } from "./images-world.js";
import { CrictlCri } from "./crictl-cri.js";
import { crictl, loadBasicImages, waitUntil, type Dockerd } from "./lab/index.js";

let world: World;
before(async () => {
  world = await World.open();
  for (const name of ["gone", "last", "shown", "native", "foreign", "moving"])
    await world.publish(name, 64 * kib);
  await world.publishIndex("both", "native", "foreign");
  await world.publish("base", 500 * kib);
  for (const name of ["upon-1", "upon-2"]) await world.publish(name, 30 * kib, "base");
  for (const name of gcNames) await world.publish(name, 3_000 * kib);
});
after(() => world.lab.close());

/** From the one that was there first; a container uses the first of them. */
const gcNames = ["gc-used", "gc-old", "gc-middle", "gc-new"];

for (const { name, options } of engines) {
  describe(name, () => {
    let node: Node;
    let dockerd: Dockerd;
    let root: string;
    const at = (image: string) => `${world.plain.address}/lab/${image}:1`;
    const isInUse = (why: RegExp) => (error: unknown) => {
      const { code, rawMessage } = ConnectError.from(error);
      assert.equal(code, Code.FailedPrecondition, rawMessage);
      assert.match(rawMessage, why);
      return true;
    };

    before(async () => {
      root = await world.disk(name.replaceAll(/\W/g, "-"), "400M");
      dockerd = await world.lab.dockerd({ ...options, images: false, extraConfig: { "data-root": root } });
      await loadBasicImages(dockerd);
      node = await Node.start(world, dockerd);
    });
    after(async () => {
      await node.shim.close();
      await dockerd.stop();
    });

    it("gives an image of several platforms one id wherever CRI asks for it", async () => {
      const id = await node.pull(at("both"));
      const byDigest = `${world.plain.address}/lab/both@${world.digests.get("both") ?? ""}`;
      for (const each of [id, at("both"), byDigest]) assert.equal((await node.status(each))?.id, id, each);
      const { images } = await node.images.listImages({});
      assert.deepEqual(
        images.filter(({ repoTags }) => repoTags.includes(at("both"))).map((image) => image.id),
        [id],
      );
      const status = await node.use(id);
      assert.equal(status.imageId, id);
      assert.equal(status.imageRef, id);
      assert.equal(status.image?.image, at("both"));
      const { containers } = await node.runtime.listContainers({});
      const listed = containers.find((each) => each.id === status.id);
      assert.equal(listed?.imageId, id);
      assert.equal(listed.imageRef, id);
      await assert.rejects(node.remove(id), isInUse(/in use by container k8s_app_uses-/));
      await node.runtime.removeContainer({ containerId: status.id });
      await node.remove(id);
      assert.equal(await node.status(at("both")), undefined);
    });

    it("shows an image whose tag has moved without a name, and removes it", async () => {
      const old = await node.pull(at("moving"));
      await world.publish("moving", 64 * kib);
      const id = await node.pull(at("moving"));
      assert.notEqual(id, old);
      assert.deepEqual((await node.status(id))?.repoTags, [at("moving")]);
      const dangling = await node.status(old);
      assert.deepEqual(dangling?.repoTags ?? [], []);
      const { images } = await node.images.listImages({});
      const shown = images.flatMap(({ repoTags, repoDigests, spec }) => [
        ...repoTags,
        ...repoDigests,
        spec?.image,
      ]);
      assert.doesNotMatch(shown.join("\n"), /none|dangling/);
      await node.remove(old);
      assert.equal(await node.status(old), undefined);
      assert.deepEqual((await node.status(id))?.repoTags, [at("moving")]);
    });

    it("keeps the last name of an image in use", async () => {
      const id = await node.pull(at("last"));
      const { repoDigests } = (await node.status(id)) ?? {};
      await dockerd.docker(["create", "--name", "holder", at("last")]);
      await assert.rejects(node.remove(at("last")), isInUse(/in use by container holder \(created\)/));
      const kept = await node.status(at("last"));
      assert.deepEqual(kept?.repoTags, [at("last")]);
      assert.deepEqual(kept.repoDigests, repoDigests);
      await dockerd.docker(["rm", "holder"]);
      await node.remove(at("last"));
      assert.equal(await node.status(id), undefined, "the image goes with its last tag");
      assert.equal(await node.status(repoDigests?.[0] ?? ""), undefined);
    });

    it("shows the image's config in crictl, and crictl removes the image", async () => {
      const id = await node.pull(at("shown"));
      const path = join(root, "cri.sock");
      await using _server = await serveUnixSocket(node.shim, { path });
      const cri = new CrictlCri({ program: await crictl(), endpoint: `unix://${path}` });
      const { status, info } = JSON.parse(await cri.crictl("inspecti", at("shown"))) as {
        status: { id: string; uid: { value: string }; repoTags: string[] };
        info: { labels: unknown; imageSpec: Record<string, unknown> };
      };
      assert.equal(status.id, id);
      assert.equal(status.uid.value, "1002");
      assert.deepEqual(status.repoTags, [at("shown")]);
      const { config, rootfs, os, history } = info.imageSpec;
      assert.equal(os, "linux");
      assert.deepEqual((config as Record<string, unknown>)["Cmd"], ["/content-shown"]);
      const layers = world.images.get("shown")?.layers.map(({ diffId }) => diffId);
      assert.deepEqual(rootfs, { type: "layers", diff_ids: layers });
      const [step] = history as Record<string, unknown>[];
      assert.equal(step?.["created_by"], "docker-cri's tests");
      assert.match(await cri.crictl("imagefsinfo"), new RegExp(`"mountpoint": "${root}"`));
      assert.match(await cri.crictl("images", "--no-trunc"), new RegExp(id));
      await cri.crictl("rmi", id.slice(7, 20));
      assert.equal(await node.status(id), undefined);
    });

    it("removes an image completely or not at all", async () => {
      const id = await node.pull(at("gone"));
      await dockerd.docker(["tag", at("gone"), "second/name:2"]);
      await node.pull(at("gone"));
      assert.deepEqual([...((await node.status(id))?.repoTags ?? [])].sort(), [at("gone"), "second/name:2"]);
      await dockerd.docker(["create", "--name", "user", "second/name:2"]);
      await assert.rejects(node.remove(id), (error) => {
        const { code, rawMessage } = ConnectError.from(error);
        assert.match(rawMessage, /in use by container user \(created\); remove the containers first/);
        return code === Code.FailedPrecondition;
      });
      assert.equal((await node.status(id))?.repoTags.length, 2);
      await node.remove("second/name:2");
      assert.deepEqual((await node.status(id))?.repoTags, [at("gone")]);
      await dockerd.docker(["tag", at("gone"), "second/name:2"]);
      await dockerd.docker(["rm", "user"]);
      await node.pull(at("gone"));
      await Promise.all([id, id, id.slice(7), at("gone"), id].map((each) => node.remove(each)));
      assert.equal(await node.status(id), undefined);
      const left = (await dockerd.docker(["images", "--quiet", "--no-trunc"])).stdout;
      assert.ok(!left.includes(id));
      await assert.rejects(node.remove("registry.k8s.io/pause:3.10"), { code: Code.FailedPrecondition });
    });

    const unknownLayers = options.containerdStore === true && "containerd's store tells no layer's size";
    it("counts a layer that images share once", { skip: unknownLayers }, async () => {
      const before = await node.usedBytes();
      await Promise.all([node.pull(at("upon-1")), node.pull(at("upon-2"))]);
      assert.equal((await node.usedBytes()) - before, BigInt((500 + 30 + 30) * kib));
    });

    it("frees the reported bytes in a round of garbage collection, on the disk too", async () => {
      const pulled = [];
      for (const each of gcNames) pulled.push(await node.pull(at(each)));
      const [used = "", old = "", middle = "", newest = ""] = pulled;
      await node.use(used);
      const { imageFilesystems, containerFilesystems } = await node.images.imageFsInfo({});
      assert.equal(imageFilesystems.length, 1);
      assert.equal(containerFilesystems.length, 1);
      const { files } = await statfs(root);
      for (const each of [...imageFilesystems, ...containerFilesystems]) {
        assert.ok(each.timestamp > BigInt(Date.now() - 60_000) * 1_000_000n);
        assert.equal(each.fsId?.mountpoint, root);
        assert.ok((each.inodesUsed?.value ?? 0n) > 0n && (each.inodesUsed?.value ?? 0n) < BigInt(files));
        assert.ok((each.usedBytes?.value ?? 0n) > 0n);
      }
      const before = { said: await node.usedBytes(), disk: await usedOn(root) };
      const freed = await collectGarbage(node, pulled, BigInt(5_000 * kib));
      assert.equal(await node.status(old), undefined);
      assert.equal(await node.status(middle), undefined);
      assert.ok(await node.status(used));
      assert.ok(await node.status(newest));
      assert.equal(before.said - (await node.usedBytes()), freed);
      const isFreed = async () => before.disk - (await usedOn(root)) >= (Number(freed) * 9) / 10;
      assert.ok(await waitUntil(isFreed, 60_000), `${before.disk - (await usedOn(root))} of ${freed} bytes`);
    });
  });
}

/** A file system's used bytes. */
async function usedOn(path: string): Promise<number> {
  const { blocks, bfree, bsize } = await statfs(path);
  return (blocks - bfree) * bsize;
}

/**
 * What kubelet does when its disk is full: it goes through the images that no container uses and nobody has pinned,
 * from the one that it has known longest, until it has freed so much.
 * @returns What it believes it has freed, by the images' sizes.
 */
async function collectGarbage(node: Node, firstSeen: readonly string[], bytes: bigint): Promise<bigint> {
  const { images } = await node.images.listImages({});
  const { containers } = await node.runtime.listContainers({});
  const inUse = new Set(containers.map(({ imageId }) => imageId));
  const age = new Map(firstSeen.map((id, at) => [id, at]));
  const candidates = images
    .filter(({ id, pinned }) => !pinned && !inUse.has(id) && age.has(id))
    .sort((a, b) => (age.get(a.id) ?? 0) - (age.get(b.id) ?? 0));
  let freed = 0n;
  for (const { id, size } of candidates) {
    if (freed >= bytes) break;
    await node.remove(id);
    freed += size;
  }
  return freed;
}
