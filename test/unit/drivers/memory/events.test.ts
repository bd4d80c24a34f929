import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isKind } from "../../../../src/base/index.js";
import type { DockerEvent } from "../../../../src/docker/index.js";
import type { MemoryDocker } from "../../../../src/drivers/memory/index.js";
import { create, engineWithBusybox, turns } from "./rig.js";

describe("the memory engine's events", () => {
  let engine: MemoryDocker;
  beforeEach(() => {
    engine = engineWithBusybox();
  });
  afterEach(async () => {
    await engine.close();
  });

  /** Follows events; `ended` rejects when the stream breaks. */
  async function follow(sinceNanos?: bigint): Promise<{ seen: DockerEvent[]; ended: Promise<void> }> {
    const subscription = engine.events.subscribe(sinceNanos === undefined ? {} : { sinceNanos });
    await subscription.ready;
    const seen: DockerEvent[] = [];
    const ended = (async () => {
      for await (const event of subscription) seen.push(event);
    })();
    ended.catch(() => undefined);
    return { seen, ended };
  }

  it("remember the last 256, with times that rise without a tie", async () => {
    for (let index = 0; index < 150; index++) {
      const id = await create(engine, ["true"]);
      await engine.containers.remove(id);
    }
    const { seen } = await follow(0n);
    await turns();
    assert.equal(seen.length, 256);
    assert.equal(seen.at(-1)?.action, "destroy");
    for (const [index, { timeNanos }] of seen.entries())
      assert.ok(timeNanos > (seen[index - 1]?.timeNanos ?? 0n));
    const middle = seen[100];
    assert.ok(middle);
    const later = await follow(middle.timeNanos);
    await turns();
    assert.deepEqual(later.seen[0], middle);
    assert.equal(later.seen.length, 156);
    assert.deepEqual((await follow()).seen, []);
  });

  it("can be dropped in transit and still appear in a replay", async () => {
    const { seen } = await follow();
    engine.faults.events.drop(1);
    const id = await create(engine, ["true"]);
    await engine.containers.start(id);
    await turns();
    assert.deepEqual(
      seen.map(({ action }) => action),
      ["start", "die"],
    );
    const replay = await follow(1n);
    await turns();
    const actions = replay.seen.filter(({ subject }) => subject === id).map(({ action }) => action);
    assert.deepEqual(actions, ["create", "start", "die"]);
  });

  it("can arrive late", async () => {
    const { seen } = await follow();
    engine.faults.events.delay(300);
    await create(engine, ["true"]);
    await turns();
    assert.equal(seen.length, 0);
    await new Promise((resolve) => setTimeout(resolve, 350));
    assert.equal(seen.length, 1);
    engine.faults.events.delay(0);
    await create(engine, ["true"]);
    await turns();
    assert.equal(seen.length, 2);
  });

  it("can break off, and a new subscription works", async () => {
    const { ended } = await follow();
    engine.faults.events.breakStream();
    await assert.rejects(ended, (error) => isKind(error, "unavailable"));
    const { seen } = await follow();
    await create(engine, ["true"]);
    await turns();
    assert.equal(seen.length, 1);
  });

  it("can go silent on the streams that are open, but not on new ones", async () => {
    const silent = await follow();
    engine.faults.events.silence();
    const fresh = await follow();
    await create(engine, ["true"]);
    await turns();
    assert.deepEqual([silent.seen.length, fresh.seen.length], [0, 1]);
    assert.equal(engine.calls.openStreams("events.subscribe"), 2);
  });

  it("do not pile up without bounds for a subscriber that does not read", async () => {
    const subscription = engine.events.subscribe({});
    await subscription.ready;
    for (let index = 0; index < 17_000; index++) engine.load("busybox:1.36");
    let count = 0;
    const iterator = subscription[Symbol.asyncIterator]();
    const last = engine.events.subscribe({});
    await last.ready;
    while (count < 16_384) {
      await iterator.next();
      count++;
    }
    engine.faults.events.breakStream();
    await assert.rejects(iterator.next(), (error) => isKind(error, "unavailable"));
  });

  it("name an image's load, pull, tag and removal", async () => {
    const { seen } = await follow();
    const reference = "registry.k8s.io/pause:3.10";
    for await (const { status } of engine.images.pull({ reference })) assert.ok(status);
    const { id } = await engine.images.inspect(reference);
    await engine.images.tag(reference, { repository: "x", tag: "y" });
    await engine.images.remove(id, { force: true });
    await turns();
    assert.deepEqual(
      seen.map(({ type, action, subject }) => [type, action, subject]),
      [
        ["image", "pull", reference],
        ["image", "tag", id],
        ["image", "untag", id],
        ["image", "untag", id],
        ["image", "untag", id],
        ["image", "delete", id],
      ],
    );
  });
});
