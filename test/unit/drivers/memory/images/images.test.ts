import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isKind, type ErrorKind } from "../../../../../src/base/index.js";
import { createMemoryDocker, type MemoryDocker } from "../../../../../src/drivers/memory/index.js";
import { collect, create, run } from "../rig.js";

const app = "registry.example/team/app:1";

describe("the memory engine's images", () => {
  let engine: MemoryDocker;
  beforeEach(() => {
    engine = createMemoryDocker();
  });
  afterEach(async () => {
    await engine.close();
  });

  const pull = (reference: string, auth?: { username: string; password: string }) =>
    collect(engine.images.pull({ reference, ...(auth ? { auth } : {}) }));
  const failsWith = (kind: ErrorKind) => (error: unknown) => isKind(error, kind);

  it("are pulled by tag and by digest, and then go by both", async () => {
    const { id, manifestDigest } = engine.registry.add({
      name: app,
      config: { command: ["true"], user: "1000" },
    });
    const progress = await pull(app);
    assert.match(progress.at(-1)?.status ?? "", /^Status: /);
    assert.ok(progress.some(({ currentBytes, totalBytes }) => (currentBytes ?? 0) < (totalBytes ?? 0)));
    const image = await engine.images.inspect(app);
    assert.equal(image.id, id);
    assert.deepEqual(image.repoTags, [app]);
    assert.deepEqual(image.repoDigests, [`registry.example/team/app@${manifestDigest}`]);
    assert.equal(image.config.user, "1000");
    const byDigest = `registry.example/team/app@${manifestDigest}`;
    assert.equal((await engine.images.inspect(byDigest)).id, id);
    await engine.images.remove(app);
    await assert.rejects(
      engine.images.inspect(byDigest),
      failsWith("not-found"),
      "the digest goes with the last tag",
    );
    await pull(byDigest);
    assert.deepEqual((await engine.images.inspect(byDigest)).repoTags, []);
    await create(engine, ["true"], { config: { image: byDigest } });
    await assert.rejects(engine.images.remove(byDigest), failsWith("conflict"));
  });

  it("show hub names in their short form, however they were spelt", async () => {
    engine.registry.add("docker.io/library/busybox:latest");
    for (const spelling of [
      "busybox",
      "library/busybox",
      "docker.io/busybox:latest",
      "index.docker.io/library/busybox",
    ]) {
      await pull(spelling);
      const { repoTags, repoDigests } = await engine.images.inspect(spelling);
      assert.deepEqual(repoTags, ["busybox:latest"]);
      assert.match(repoDigests[0] ?? "", /^busybox@sha256:/);
    }
    assert.equal((await engine.images.list()).length, 1);
  });

  it("need the credentials that the registry wants", async () => {
    engine.registry.add(app);
    engine.registry.behave("registry.example/team/app", { credentials: { username: "u", password: "p" } });
    await assert.rejects(pull(app), failsWith("unauthenticated"));
    await assert.rejects(pull(app, { username: "u", password: "wrong" }), failsWith("unauthenticated"));
    await pull(app, { username: "u", password: "p" });
  });

  it("fail to be pulled as the registry is configured, and leave no trace", async () => {
    engine.registry.add(app);
    engine.registry.behave(app, {
      error: { kind: "unavailable", message: "503" },
      progress: [{ status: "Downloading", currentBytes: 1, totalBytes: 2 }],
    });
    const seen: string[] = [];
    await assert.rejects(async () => {
      for await (const { status } of engine.images.pull({ reference: app })) seen.push(status);
    }, failsWith("unavailable"));
    assert.deepEqual(seen, ["Downloading"]);
    await assert.rejects(engine.images.inspect(app), failsWith("not-found"));
    await assert.rejects(pull("registry.example/other:1"), failsWith("not-found"));
    engine.registry.remove(app);
    engine.registry.behave(app, {});
    await assert.rejects(pull(app), failsWith("not-found"));
  });

  it("stall, and end by their signal", async () => {
    engine.registry.add(app);
    engine.registry.behave(app, { stall: true });
    const abort = new AbortController();
    const seen: string[] = [];
    await assert.rejects(async () => {
      for await (const { status } of engine.images.pull({ reference: app }, { signal: abort.signal })) {
        seen.push(status);
        setImmediate(() => {
          abort.abort();
        });
      }
    }, failsWith("cancelled"));
    assert.equal(seen.length, 1);
    assert.equal(engine.calls.openStreams(), 0);
    await assert.rejects(engine.images.inspect(app), failsWith("not-found"));
  });

  it("lose their tag to a newer image of that name, and stay without one", async () => {
    engine.registry.add({ name: app, seed: "old" });
    await pull(app);
    const old = await engine.images.inspect(app);
    engine.registry.add({ name: app, seed: "new" });
    await pull(app);
    assert.notEqual((await engine.images.inspect(app)).id, old.id);
    assert.deepEqual((await engine.images.inspect(old.id)).repoTags, []);
    assert.equal((await engine.images.list()).length, 2);
    const container = await create(engine, ["true"], { config: { image: old.id } });
    const [line] = await engine.containers.list();
    assert.deepEqual([line?.id, line?.image, line?.imageId], [container, old.id, old.id]);
  });

  it("go by Docker's rules when they are in use or have several names", async () => {
    engine.load({ name: app, otherNames: ["registry.example/team/app:2"] });
    const { id } = await engine.images.inspect(app);
    const container = await run(engine, ["sleep", "60"], { config: { image: app } });
    await assert.rejects(engine.images.remove(id), failsWith("conflict"), "several names");
    await engine.images.remove(app);
    await assert.rejects(
      engine.images.remove("registry.example/team/app:2"),
      failsWith("conflict"),
      "in use",
    );
    await assert.rejects(
      engine.images.remove(id, { force: true }),
      failsWith("conflict"),
      "in use by what runs",
    );
    await engine.containers.kill(container);
    await assert.rejects(engine.images.remove(id), failsWith("conflict"), "in use by what has stopped");
    await engine.images.remove(id, { force: true });
    await assert.rejects(engine.images.inspect(id), failsWith("not-found"));
    assert.equal((await engine.containers.inspect(container)).imageId, id);
  });

  it("keep their digests of a repository as long as they have a tag in it", async () => {
    engine.registry.add({ name: app, otherNames: ["registry.example/team/other:1"] });
    await pull(app);
    await pull("registry.example/team/other:1");
    const { id, repoDigests } = await engine.images.inspect(app);
    assert.equal(repoDigests.length, 2);
    await engine.images.remove(app);
    const left = await engine.images.inspect(id);
    assert.deepEqual(left.repoTags, ["registry.example/team/other:1"]);
    assert.deepEqual(left.repoDigests.length, 1);
    assert.match(left.repoDigests[0] ?? "", /^registry\.example\/team\/other@/);
  });

  it("refuse invalid names", async () => {
    for (const name of ["", "UPPER", "a//b", "x:bad tag", `x@sha256:12`]) {
      await assert.rejects(pull(name), failsWith("invalid-argument"), name);
    }
  });

  it("have defaults for containers, by Docker's rules", async () => {
    engine.load({
      name: "base:1",
      config: {
        entrypoint: ["echo"],
        command: ["from", "image"],
        env: ["A=image", "B=image"],
        user: "app",
        workingDir: "/srv",
        labels: { a: "image", b: "image" },
        stopSignal: "SIGQUIT",
        volumes: ["/data"],
      },
    });
    const inspect = async (config: object) =>
      await engine.containers.inspect(await create(engine, [], { config: { image: "base:1", ...config } }));
    const plain = await inspect({ command: undefined });
    assert.deepEqual([plain.config.entrypoint, plain.config.command], [["echo"], ["from", "image"]]);
    assert.deepEqual(
      [plain.config.user, plain.config.workingDir, plain.config.stopSignal],
      ["app", "/srv", "SIGQUIT"],
    );
    assert.deepEqual(
      plain.mounts.map(({ type, target, writable }) => [type, target, writable]),
      [["volume", "/data", true]],
    );
    const own = await inspect({ command: ["x"], env: ["B=own"], labels: { b: "own" }, user: "0" });
    assert.deepEqual([own.config.entrypoint, own.config.command], [["echo"], ["x"]]);
    assert.deepEqual(own.config.env, ["B=own", "A=image"]);
    assert.deepEqual(own.config.labels, { a: "image", b: "own" });
    assert.equal(own.config.user, "0");
    const entry = await inspect({ entrypoint: ["sh"], command: [] });
    assert.deepEqual([entry.config.entrypoint, entry.config.command], [["sh"], []]);
    assert.equal((await engine.host.files.list("/var/lib/docker/volumes")).length, 3);
    for (const { id } of await engine.containers.list()) await engine.containers.remove(id);
    assert.deepEqual(
      await engine.host.files.list("/var/lib/docker/volumes"),
      [],
      "anonymous volumes go with it",
    );
  });
});
