import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import { collect, rejectsWith, type Scene } from "./scene.js";

/** Images. */
export function testImages(scene: () => Scene): void {
  it("finds an image by its name, its id, and a prefix of its id", async () => {
    const { images } = scene().service;
    const image = await images.inspect(scene().image);
    assert.match(image.id, /^sha256:[0-9a-f]{64}$/);
    assert.ok((image.sizeBytes ?? 0) > 0);
    assert.equal(image.os, "linux");
    assert.ok(image.repoTags.every((tag) => !tag.includes("<none>")));
    const bare = image.id.slice("sha256:".length);
    for (const reference of [image.id, bare, bare.slice(0, 20)]) {
      assert.equal((await images.inspect(reference)).id, image.id);
    }
  });

  it("lists images with their names, sizes and labels", async () => {
    const { images } = scene().service;
    const image = await images.inspect(scene().image);
    const line = (await images.list()).find(({ id }) => id === image.id);
    assert.ok(line);
    assert.deepEqual(line.repoTags, image.repoTags);
    assert.deepEqual(line.repoDigests, image.repoDigests);
    assert.ok((line.sizeBytes ?? 0) > 0);
    assert.equal(typeof line.labels, "object");
  });

  it("reports an image's history, newest first", async () => {
    const history = await scene().service.images.history(scene().image);
    assert.ok(history.length > 0);
  });

  it("tags an image under familiar names and takes the tags away again", async () => {
    const { images } = scene().service;
    const { id, repoTags } = await images.inspect(scene().image);
    await images.tag(id, { repository: "contract-tag", tag: "v1" });
    await images.tag(scene().image, { repository: "example.test:5000/a/contract-tag", tag: "latest" });
    const tagged = await images.inspect("contract-tag:v1");
    assert.equal(tagged.id, id);
    assert.deepEqual(
      [...tagged.repoTags].sort(),
      [...repoTags, "contract-tag:v1", "example.test:5000/a/contract-tag:latest"].sort(),
    );
    for (const name of ["docker.io/library/contract-tag:v1", "example.test:5000/a/contract-tag"]) {
      assert.equal((await images.inspect(name)).id, id);
    }
    await rejectsWith("conflict", images.remove(id));
    await images.remove("docker.io/library/contract-tag:v1");
    await images.remove("example.test:5000/a/contract-tag");
    await rejectsWith("not-found", images.inspect("contract-tag:v1"));
    assert.deepEqual((await images.inspect(id)).repoTags, repoTags);
  });

  it("keeps an image that a container uses", async () => {
    const { images } = scene().service;
    const { id, repoTags } = await images.inspect(scene().image);
    await scene().create(["true"]);
    await rejectsWith("conflict", images.remove(id));
    assert.deepEqual((await images.inspect(id)).repoTags, repoTags);
  });

  it("returns not-found for a missing image from every call", async () => {
    const { images } = scene().service;
    for (const name of ["contract-no-such-image:1", `sha256:${"0".repeat(64)}`]) {
      await rejectsWith("not-found", images.inspect(name));
      await rejectsWith("not-found", images.history(name));
      await rejectsWith("not-found", images.remove(name));
      await rejectsWith("not-found", images.tag(name, { repository: "contract-x", tag: "1" }));
    }
  });

  it("refuses an invalid name", async () => {
    const { images } = scene().service;
    await rejectsWith("invalid-argument", images.tag(scene().image, { repository: "UPPER", tag: "1" }));
    await rejectsWith("invalid-argument", collect(images.pull({ reference: "UPPER:1" })));
  });

  it("reports that an image cannot be pulled", async () => {
    // Nothing listens on port 1: an engine with a network says unavailable, one that knows all registries not-found.
    const reference = "127.0.0.1:1/contract/nothing:1";
    await rejectsWith(["unavailable", "not-found"], collect(scene().service.images.pull({ reference })));
    await rejectsWith("not-found", scene().service.images.inspect(reference));
  });

  it("pulls an image with progress, and can be aborted", async (context: TestContext) => {
    const { images } = scene().service;
    const reference = scene().pullable;
    if (reference === undefined) {
      context.skip("no image can be pulled here");
      return;
    }
    const progress = await collect(images.pull({ reference }));
    assert.ok(progress.length > 0);
    assert.ok(progress.every(({ status }) => status.length > 0));
    const { repoDigests } = await images.inspect(reference);
    assert.equal(repoDigests.length, 1);
    assert.match(repoDigests[0] ?? "", /@sha256:[0-9a-f]{64}$/);
    const again = await collect(images.pull({ reference: repoDigests[0] ?? "" }));
    assert.ok(again.length > 0);
    await rejectsWith("cancelled", collect(images.pull({ reference }, { signal: AbortSignal.abort() })));
    await images.remove(reference);
    await rejectsWith("not-found", images.inspect(reference));
  });
}
