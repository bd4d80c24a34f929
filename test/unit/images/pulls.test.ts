import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "../inventory/lab.js";
import { auth, openImages, pauseImage, spec, staying } from "./lab.js";

describe("a pull", () => {
  it("is listed when it has returned, under the id that it returns", async () => {
    await using lab = await openImages();
    lab.engine.registry.add("busybox:1.36");
    const id = await lab.images.pull(spec("busybox:1.36"), undefined, staying());
    assert.ok(lab.images.list(undefined).some((image) => image.id === id));
    assert.ok(lab.lines.some(({ msg, id: logged }) => msg === "pulled an image" && logged === id));
  });

  it("of anything but a name is refused before Docker is asked", async () => {
    await using lab = await openImages();
    for (const name of ["UPPER:1", `sha256:${"0".repeat(64)}`, "a:b:c", "-", "x".repeat(5000)]) {
      await assert.rejects(lab.images.pull(spec(name), undefined, staying()), { kind: "invalid-argument" });
    }
    assert.equal(lab.engine.calls.count("images.pull"), 0);
  });

  it("is shared by twenty callers of one reference, however it is spelled", async () => {
    await using lab = await openImages();
    lab.engine.registry.add("busybox:latest");
    lab.engine.registry.behave("busybox", { messageDelayMs: 10 });
    const names = ["busybox", "busybox:latest", "docker.io/library/busybox", "library/busybox:latest"];
    const callers = Array.from({ length: 20 }, (_, at) =>
      lab.images.pull(spec(names[at % names.length] ?? ""), undefined, staying()),
    );
    assert.equal(new Set(await Promise.all(callers)).size, 1);
    assert.equal(lab.engine.calls.count("images.pull"), 1);
    await lab.images.pull(spec("busybox"), undefined, staying());
    assert.equal(lab.engine.calls.count("images.pull"), 2, "nothing is kept of a pull that has ended");
  });

  it("is not shared with a caller with other credentials", async () => {
    await using lab = await openImages();
    lab.engine.registry.add("r.example/a:1");
    lab.engine.registry.behave("r.example/a", {
      credentials: { username: "joe", password: "right" },
      messageDelayMs: 5,
    });
    const pull = (password?: string) =>
      lab.images.pull(
        spec("r.example/a:1"),
        password === undefined ? undefined : auth({ username: "joe", password }),
        staying(),
      );
    const [right, wrong, none] = await Promise.allSettled([pull("right"), pull("wrong"), pull()]);
    assert.equal(right.status, "fulfilled");
    for (const refused of [wrong, none]) {
      assert.ok(refused.status === "rejected");
      const { kind, message } = refused.reason as { kind: string; message: string };
      assert.equal(kind, "unauthenticated");
      assert.match(message, /could not pull r\.example\/a:1: .*pull secret/);
      assert.doesNotMatch(message, /wrong/);
    }
    assert.doesNotMatch(JSON.stringify(lab.lines), /right|wrong/);
  });

  it("continues for the others when one caller cancels", async () => {
    await using lab = await openImages();
    lab.engine.registry.add("busybox:1");
    lab.engine.registry.behave("busybox", { messageDelayMs: 50 });
    const leaver = new AbortController();
    const left = lab.images.pull(spec("busybox:1"), undefined, leaver.signal);
    const stayed = lab.images.pull(spec("busybox:1"), undefined, staying());
    let isPulled = false;
    const pulled = stayed.finally(() => (isPulled = true));
    leaver.abort();
    await assert.rejects(left, { kind: "cancelled" });
    assert.equal(isPulled, false);
    assert.match(await pulled, /^sha256:/);
    assert.equal(lab.engine.calls.count("images.pull"), 1);
    await assert.rejects(lab.images.pull(spec("busybox:1"), undefined, leaver.signal), { kind: "cancelled" });
    assert.equal(lab.engine.calls.count("images.pull"), 1, "a caller who has gone begins nothing");
  });

  it("continues when the last caller cancels, is joined by a retry, and completes", async () => {
    await using lab = await openImages({ config: { imagePullProgressDeadlineMs: 1_000 } });
    lab.engine.registry.add("busybox:1");
    lab.engine.registry.behave("busybox", { messageDelayMs: 30 });
    const leaver = new AbortController();
    const left = lab.images.pull(spec("busybox:1"), undefined, leaver.signal);
    leaver.abort();
    await assert.rejects(left, { kind: "cancelled" });
    assert.match(await lab.images.pull(spec("busybox:1"), undefined, staying()), /^sha256:/);
    assert.equal(lab.engine.calls.count("images.pull"), 1);
  });

  it("is ended without a waiting caller for the deadline, though it makes progress", async () => {
    await using lab = await openImages({ config: { imagePullProgressDeadlineMs: 150 } });
    lab.engine.registry.add("busybox:1");
    const progress = Array.from({ length: 100 }, (_, at) => ({
      status: "Downloading",
      layer: "a",
      currentBytes: at + 1,
    }));
    lab.engine.registry.behave("busybox", { messageDelayMs: 20, progress });
    const leaver = new AbortController();
    const left = lab.images.pull(spec("busybox:1"), undefined, leaver.signal);
    leaver.abort();
    await assert.rejects(left);
    const isSaid = () => lab.lines.some(({ msg }) => msg.includes("after its callers disconnected"));
    await eventually("the pull is ended", isSaid, 1_500);
    assert.deepEqual(
      lab.images.list(undefined).flatMap(({ repoTags }) => repoTags),
      [pauseImage],
    );
  });

  it("is ended when it makes no progress for the deadline, and reports how far it was", async () => {
    await using lab = await openImages({ config: { imagePullProgressDeadlineMs: 80 } });
    lab.engine.registry.add("busybox:1");
    lab.engine.registry.behave("busybox", {
      stall: true,
      progress: [{ status: "Downloading", layer: "a", currentBytes: 5, totalBytes: 9 }],
    });
    await assert.rejects(lab.images.pull(spec("busybox:1"), undefined, staying()), {
      kind: "deadline-exceeded",
      message: /busybox:1 made no progress for 80 ms.*0 of 1 layers complete and 5 of 9 bytes/,
    });
    lab.engine.registry.behave("busybox", {});
    assert.match(await lab.images.pull(spec("busybox:1"), undefined, staying()), /^sha256:/);
  });

  it("is ended when Docker only repeats itself, and not while it trickles", async () => {
    await using lab = await openImages({ config: { imagePullProgressDeadlineMs: 120 } });
    lab.engine.registry.add("busybox:1");
    const said = (moving: boolean) =>
      Array.from({ length: 20 }, (_, at) => ({
        status: "Extracting",
        layer: "a",
        currentBytes: moving ? at + 1 : 1,
        totalBytes: 100,
      }));
    lab.engine.registry.behave("busybox", { messageDelayMs: 30, progress: said(false) });
    const stuck = lab.images.pull(spec("busybox:1"), undefined, staying());
    await assert.rejects(stuck, { kind: "deadline-exceeded" });
    lab.engine.registry.behave("busybox", { messageDelayMs: 30, progress: said(true) });
    const began = Date.now();
    await lab.images.pull(spec("busybox:1"), undefined, staying());
    assert.ok(Date.now() - began > 120, "longer than the deadline");
  });

  it("waits longer while all is loaded and Docker unpacks without a word", async () => {
    await using lab = await openImages({ config: { imagePullProgressDeadlineMs: 60 } });
    lab.engine.registry.add("busybox:1");
    const progress = [
      { status: "Pulling fs layer", layer: "a" },
      { status: "Already exists", layer: "b" },
      { status: "Download complete", layer: "a" },
    ];
    lab.engine.registry.behave("busybox", { messageDelayMs: 40, progress });
    lab.engine.faults.on("images.pull", { after: true, delayMs: 200, times: 1 });
    assert.match(await lab.images.pull(spec("busybox:1"), undefined, staying()), /^sha256:/);
    lab.engine.registry.behave("busybox", { messageDelayMs: 1, progress });
    lab.engine.faults.on("images.pull", { after: true, delayMs: 5_000, times: 1 });
    const hanging = lab.images.pull(spec("busybox:1"), undefined, staying());
    await assert.rejects(hanging, { kind: "deadline-exceeded", message: /no progress for 600 ms/ });
  });

  for (const [kind, seen, message] of [
    [
      "unavailable",
      "registry-unavailable",
      /^RegistryUnavailable: could not pull busybox:1 from docker\.io: /,
    ],
    ["not-found", "not-found", /^could not pull busybox:1: /],
    ["unauthenticated", "unauthenticated", /^could not pull busybox:1: /],
    ["resource-exhausted", "resource-exhausted", /^could not pull busybox:1: /],
    ["invalid-argument", "invalid-argument", /^could not pull busybox:1: /],
  ] as const) {
    it(`that the registry ends with ${kind} is ${seen}`, async () => {
      await using lab = await openImages();
      lab.engine.registry.behave("busybox", { error: { kind, message: "as the registry said" } });
      await assert.rejects(lab.images.pull(spec("busybox:1"), undefined, staying()), (error: Error) => {
        assert.equal((error as Error & { kind: string }).kind, seen);
        assert.match(error.message, message);
        assert.match(error.message, /as the registry said/);
        return true;
      });
    });
  }

  it("that Docker cannot do because it is away is no failure of the registry", async () => {
    await using lab = await openImages();
    lab.engine.faults.on("images.pull", { error: "unavailable", times: 1 });
    await assert.rejects(lab.images.pull(spec("busybox:1"), undefined, staying()), {
      kind: "unavailable",
      message: /^could not pull busybox:1/,
    });
  });

  it("logs its progress periodically", async (context) => {
    await using lab = await openImages();
    lab.engine.registry.add("busybox:1");
    lab.engine.registry.behave("busybox", {
      messageDelayMs: 100,
      progress: Array.from({ length: 12 }, (_, at) => ({
        status: "Downloading",
        layer: "a",
        currentBytes: at * 10,
        totalBytes: 110,
      })),
    });
    context.mock.timers.enable({ apis: ["setInterval"] });
    const pulled = lab.images.pull(spec("busybox:1"), undefined, staying());
    const said = () => lab.lines.filter(({ msg }) => msg === "pulling an image");
    await new Promise((resolve) => setTimeout(resolve, 350));
    assert.equal(said().length, 0);
    context.mock.timers.tick(10_000);
    const [line] = said();
    assert.ok(line);
    assert.equal(said().length, 1);
    assert.equal(line["image"], "busybox:1");
    assert.equal(line["totalBytes"], 110);
    assert.ok(Number(line["downloadedBytes"]) > 0);
    await pulled;
    context.mock.timers.tick(60_000);
    assert.equal(said().length, 1);
  });

  it("of the sandbox image is shared by all waiting pods, and its failure names the missing image", async () => {
    const sandboxImage = "r.example/pause:9";
    await using lab = await openImages({ config: { sandboxImage } });
    lab.engine.registry.behave("r.example/pause", { error: { kind: "unavailable" } });
    await assert.rejects(lab.images.ensureSandboxImage(staying()), {
      kind: "unavailable",
      message: /the sandbox image r\.example\/pause:9 is not on the node and could not be pulled/,
    });
    lab.engine.registry.behave("r.example/pause", { messageDelayMs: 5 });
    lab.engine.registry.add(sandboxImage);
    const before = lab.engine.calls.count("images.pull");
    await Promise.all(Array.from({ length: 10 }, () => lab.images.ensureSandboxImage(staying())));
    assert.equal(lab.engine.calls.count("images.pull"), before + 1);
    await lab.images.keepSandboxImage();
    assert.equal(lab.engine.calls.count("images.pull"), before + 1);
  });
});
