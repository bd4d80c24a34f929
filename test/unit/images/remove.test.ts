import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "../inventory/lab.js";
import { openImages, pauseImage, spec, staying, type ImagesLab } from "./lab.js";

/** An image under two tags and a digest of each of two repositories. */
async function manyNames({ engine, images, inventory }: ImagesLab) {
  const { manifestDigest } = engine.registry.add({ name: "r.example/a:1", otherNames: ["r.example/b:2"] });
  const id = await images.pull(spec("r.example/a:1"), undefined, staying());
  await images.pull(spec("r.example/b:2"), undefined, staying());
  assert.equal(inventory.images.get(id)?.repoTags.length, 2);
  return { id, digest: `r.example/a@${manifestDigest}` };
}

const tagsOf = ({ images }: ImagesLab) => images.list(undefined).flatMap(({ repoTags }) => repoTags);

describe("removing an image", () => {
  it("by id, in full, bare or short, takes all its names", async () => {
    for (const nameOf of [(id: string) => id, (id: string) => id.slice(7), (id: string) => id.slice(7, 19)]) {
      await using lab = await openImages();
      const { id } = await manyNames(lab);
      await lab.images.remove(spec(nameOf(id)));
      assert.deepEqual(tagsOf(lab), [pauseImage]);
      assert.equal(lab.inventory.images.get(id), undefined);
      await assert.rejects(lab.engine.images.inspect(id), { kind: "not-found" });
    }
  });

  it("by a name takes that name, and the image with the last one", async () => {
    await using lab = await openImages();
    const { id, digest } = await manyNames(lab);
    await lab.images.remove(spec("r.example/a:1"));
    assert.deepEqual(lab.inventory.images.get(id)?.repoTags, ["r.example/b:2"]);
    await lab.images.remove(spec(digest));
    assert.deepEqual(lab.inventory.images.get(id)?.repoTags, ["r.example/b:2"]);
    await lab.images.remove(spec("r.example/b:2"));
    assert.equal(lab.inventory.images.get(id), undefined);
  });

  it("by a digest takes all names in its repository, and the image with the last one", async () => {
    for (const tag of ["", ":1"]) {
      await using lab = await openImages();
      const { id, digest } = await manyNames(lab);
      await lab.images.remove(spec("r.example/b:2"));
      await lab.images.remove(spec(digest.replace("@", `${tag}@`)));
      assert.equal(lab.inventory.images.get(id)?.repoTags.includes("r.example/a:1") ?? false, false);
    }
    await using lab = await openImages();
    lab.engine.registry.add("r.example/only:1");
    await lab.images.pull(spec("r.example/only:1"), undefined, staying());
    const [image] = lab.inventory.images.find("r.example/only:1")?.repoDigests ?? [];
    await lab.images.remove(spec(image ?? ""));
    assert.equal(lab.inventory.images.find("r.example/only:1"), undefined);
  });

  it("succeeds for a removed or unknown image and for an invalid name", async () => {
    await using lab = await openImages({ images: ["busybox:1"] });
    for (const name of ["nope:1", "UPPER", `sha256:${"0".repeat(64)}`, "ffff", "a@sha256:1"])
      await lab.images.remove(spec(name));
    await lab.engine.images.remove("busybox:1");
    await lab.images.remove(spec("busybox:1"));
    await assert.rejects(lab.images.remove(spec("")), { kind: "invalid-argument" });
    assert.deepEqual(tagsOf(lab), [pauseImage]);
  });

  it("that was created just now, before its event", async () => {
    await using lab = await openImages();
    lab.engine.faults.events.silence();
    const { id } = lab.engine.load("busybox:2");
    assert.equal(lab.inventory.images.get(id), undefined);
    await lab.images.remove(spec("busybox:2"));
    await assert.rejects(lab.engine.images.inspect(id), { kind: "not-found" });
  });

  it("succeeds for concurrent calls", async () => {
    await using lab = await openImages();
    const { id } = await manyNames(lab);
    await Promise.all(
      [id, id, "r.example/a:1", "r.example/b:2", id].map((name) => lab.images.remove(spec(name))),
    );
    assert.deepEqual(tagsOf(lab), [pauseImage]);
  });

  it("refuses an image in use, even by an exited container of another program", async () => {
    await using lab = await openImages();
    const { id } = await manyNames(lab);
    const { engine, images } = lab;
    const { id: container } = await engine.containers.create({
      name: "other",
      config: { image: "r.example/a:1", command: ["true"] },
      host: {},
    });
    const before = lab.inventory.images.get(id);
    const refusal = { kind: "failed-precondition", message: /in use by container other \(created\); remove/ };
    await assert.rejects(images.remove(spec(id)), refusal);
    await engine.containers.start(container);
    await eventually("it has exited", () => true);
    await assert.rejects(images.remove(spec(id)), { kind: "failed-precondition" });
    assert.deepEqual(await engine.images.inspect(id), before);
    await images.remove(spec("r.example/a:1"));
    await assert.rejects(images.remove(spec(id)), { kind: "failed-precondition" });
    await engine.containers.remove(container, { force: true });
    await images.remove(spec(id));
    assert.deepEqual(tagsOf(lab), [pauseImage]);
  });

  it("by its last tag is refused while a container uses it, and the container is named", async () => {
    await using lab = await openImages();
    const { engine, images } = lab;
    engine.registry.add("r.example/a:1");
    const id = await images.pull(spec("r.example/a:1"), undefined, staying());
    const before = await engine.images.inspect(id);
    assert.equal(before.repoDigests.length, 1);
    const container = { name: "other", config: { image: "r.example/a:1" }, host: {} };
    const { id: user } = await engine.containers.create(container);
    for (const name of ["r.example/a:1", before.repoDigests[0] ?? ""]) {
      await assert.rejects(images.remove(spec(name)), {
        kind: "failed-precondition",
        message: /in use by container other \(created\); remove/,
      });
    }
    assert.deepEqual(await engine.images.inspect(id), before);
    await engine.containers.remove(user);
    await images.remove(spec("r.example/a:1"));
    assert.deepEqual(tagsOf(lab), [pauseImage]);
  });

  it("gives the names back when a container comes in between", async () => {
    await using lab = await openImages();
    const { id } = await manyNames(lab);
    const conflict = {
      error: "conflict",
      message: "image is being used by running container",
      times: 1,
    } as const;
    lab.engine.faults.on("images.remove", { ...conflict, id: "r.example/b:2" });
    await assert.rejects(lab.images.remove(spec(id)), {
      kind: "failed-precondition",
      message: /is in use: image is being used/,
    });
    assert.deepEqual([...(lab.inventory.images.get(id)?.repoTags ?? [])].sort(), [
      "r.example/a:1",
      "r.example/b:2",
    ]);
  });

  it("reports other failures, and a retry continues", async () => {
    await using lab = await openImages();
    const { id } = await manyNames(lab);
    lab.engine.faults.on("images.remove", { error: "unavailable", times: 1, id: "r.example/b:2" });
    await assert.rejects(lab.images.remove(spec(id)), { kind: "unavailable" });
    await lab.images.remove(spec(id));
    assert.deepEqual(tagsOf(lab), [pauseImage]);
  });

  it("refuses a pinned image by any of its names", async () => {
    await using lab = await openImages();
    const { id } = await lab.engine.images.inspect(pauseImage);
    await lab.engine.images.tag(id, { repository: "mine/pause", tag: "1" });
    await lab.inventory.images.refresh(id);
    for (const name of [id, pauseImage, "mine/pause:1", id.slice(7, 19)]) {
      await assert.rejects(lab.images.remove(spec(name)), { kind: "failed-precondition", message: /pinned/ });
    }
    assert.equal((await lab.engine.images.inspect(id)).repoTags.length, 2);
  });
});
