import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ImageFilterSchema } from "../../../src/gen/runtime/v1/api_pb.js";
import { openImages, pauseImage, spec } from "./lab.js";

const filter = (image: string) => create(ImageFilterSchema, { image: spec(image) });
const plain = { verbose: false };

describe("the images", () => {
  it("have one id in list, status and pull, whatever name is asked for", async () => {
    await using lab = await openImages({ images: ["busybox:1.36"] });
    const { images, engine } = lab;
    const digest = engine.registry.add("quay.io/a/b:2").manifestDigest;
    const id = await images.pull(spec(`quay.io/a/b:2@${digest}`), undefined, new AbortController().signal);
    assert.ok(images.list(undefined).some((image) => image.id === id));
    const names = [id, id.slice(7), id.slice(7, 19), `quay.io/a/b@${digest}`, `quay.io/a/b:9@${digest}`];
    for (const name of names) assert.equal((await images.status(spec(name), plain)).image?.id, id, name);
    const busybox = (await images.status(spec("busybox:1.36"), plain)).image;
    for (const name of ["docker.io/library/busybox:1.36", "library/busybox:1.36", busybox?.id ?? ""]) {
      assert.equal((await images.status(spec(name), plain)).image, busybox, name);
    }
  });

  it("return an empty answer for an unknown image", async () => {
    await using lab = await openImages();
    for (const name of ["nope:1", "sha256:" + "0".repeat(64), "ffff", "UPPER case!", "a@sha256:1"]) {
      assert.deepEqual(await lab.images.status(spec(name), plain), {});
      assert.deepEqual(lab.images.list(filter(name)), []);
    }
    await assert.rejects(lab.images.status(spec(""), plain), { kind: "invalid-argument" });
    await assert.rejects(lab.images.status(undefined, plain), { kind: "invalid-argument" });
  });

  it("are found by a unique short id, not by one that two images share", async () => {
    await using lab = await openImages({ images: Array.from({ length: 400 }, (_, at) => `many:${at}`) });
    const digits = lab.images.list(undefined).map(({ id }) => id.slice("sha256:".length));
    const owners = (prefix: string) => digits.filter((each) => each.startsWith(prefix)).length;
    const shared = digits.find((each) => owners(each.slice(0, 3)) > 1) ?? "";
    assert.deepEqual(await lab.images.status(spec(shared.slice(0, 3)), plain), {});
    await lab.images.remove(spec(shared.slice(0, 3)));
    assert.equal(lab.images.list(undefined).length, digits.length, "nothing is removed by a guess");
    for (const prefix of [shared.slice(0, 12), `sha256:${shared.slice(0, 12)}`]) {
      assert.equal((await lab.images.status(spec(prefix), plain)).image?.id, `sha256:${shared}`);
    }
  });

  it("are listed by a filter that is any of their names", async () => {
    await using lab = await openImages({ images: ["busybox:1.36", "alpine:3"] });
    const [found, ...others] = lab.images.list(filter("docker.io/library/alpine:3"));
    assert.deepEqual(found?.repoTags, ["alpine:3"]);
    assert.equal(others.length, 0);
    assert.equal(lab.images.list(create(ImageFilterSchema, {})).length, 3);
  });

  it("are the same frozen messages until they change", async () => {
    await using lab = await openImages();
    const [first] = lab.images.list(undefined);
    assert.equal(lab.images.list(undefined)[0], first);
    assert.ok(Object.isFrozen(first));
  });

  it("send Docker no request, except for the history of a verbose answer", async () => {
    await using lab = await openImages();
    const { calls } = lab.engine;
    const asked = () =>
      calls.count("images.inspect") + calls.count("images.list") + calls.count("images.history");
    const before = asked();
    lab.images.list(undefined);
    await lab.images.status(spec(pauseImage), plain);
    assert.equal(asked(), before);
    const { info } = await lab.images.status(spec(pauseImage), { verbose: true });
    assert.equal(asked(), before + 1);
    const { imageSpec } = JSON.parse(info?.["info"] ?? "{}") as { imageSpec: Record<string, unknown> };
    assert.deepEqual((imageSpec["config"] as { Entrypoint: unknown }).Entrypoint, ["/pause"]);
    assert.ok(Array.isArray(imageSpec["history"]));
  });

  it("are an empty answer when they go while their history is asked for", async () => {
    await using lab = await openImages();
    lab.engine.faults.on("images.history", { error: "not-found", times: 1 });
    assert.deepEqual(await lab.images.status(spec(pauseImage), { verbose: true }), {});
    lab.engine.faults.on("images.history", { error: "internal", times: 1 });
    await assert.rejects(lab.images.status(spec(pauseImage), { verbose: true }), { kind: "internal" });
  });

  it("are pinned when they are the sandbox image, by tag or by digest", async () => {
    await using lab = await openImages({ images: ["busybox:1.36"] });
    const pinned = lab.images.list(undefined).filter((image) => image.pinned);
    assert.deepEqual(
      pinned.map(({ repoTags }) => repoTags),
      [[pauseImage]],
    );
    const { manifestDigest } = lab.engine.registry.add("r.example/pause:1");
    const sandboxImage = `r.example/pause:1@${manifestDigest}`;
    await using other = await openImages({ config: { sandboxImage } });
    other.engine.registry.add("r.example/pause:1");
    await other.images.ensureSandboxImage(new AbortController().signal);
    assert.deepEqual(
      other.images.list(undefined).flatMap((image) => (image.pinned ? image.repoDigests : [])),
      [`r.example/pause@${manifestDigest}`],
    );
  });

  it("are known by the digest of each repository where the digest is the id", async () => {
    await using lab = await openImages({ images: ["r.example:5000/a:1"] });
    const [first] = lab.images.list(filter("r.example:5000/a:1"));
    assert.ok(first);
    const byId = await lab.images.status(spec(`r.example:5000/a@${first.id}`), plain);
    assert.equal(byId.image, first);
    assert.deepEqual(await lab.images.status(spec(`r.example:5000/b@${first.id}`), plain), {});
  });

  it("belong to the default runtime handler and no other", async () => {
    await using lab = await openImages();
    for (const runtimeHandler of ["", "docker", "runc"]) {
      assert.ok((await lab.images.status(spec(pauseImage, { runtimeHandler }), plain)).image);
    }
    const other = spec(pauseImage, { runtimeHandler: "kata" });
    const refusal = { kind: "unsupported", message: /runtime_handler/ };
    await assert.rejects(lab.images.status(other, plain), refusal);
    await assert.rejects(lab.images.pull(other, undefined, new AbortController().signal), refusal);
    await assert.rejects(lab.images.remove(other), refusal);
    assert.throws(() => lab.images.list(create(ImageFilterSchema, { image: other })), refusal);
  });
});
