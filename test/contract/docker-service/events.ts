import assert from "node:assert/strict";
import { it } from "node:test";
import type { DockerEvent } from "../../../src/docker/index.js";
import { collect, EventWatch, rejectsWith, until, type Scene } from "./scene.js";

/** The engine's stream of events. */
export function testEvents(scene: () => Scene): void {
  it("reports a container's life in order, with its name, image, labels and exit code", async () => {
    const watch = await EventWatch.open(scene().service);
    const name = `contract-events-${Date.now()}`;
    const id = await scene().run(["sh", "-c", "exit 7"], {
      name,
      config: { labels: { "contract.event": "x" } },
    });
    await scene().ended(id);
    await scene().service.containers.remove(id);
    await watch.event(id, "destroy");
    await watch.close();
    assert.deepEqual(watch.actionsOf(id), ["create", "start", "die", "destroy"]);
    const own = watch.events.filter(({ subject }) => subject === id);
    for (const event of own) {
      assert.equal(event.type, "container");
      assert.equal(event.attributes["name"], name);
      assert.equal(event.attributes["image"], scene().image);
      assert.equal(event.attributes["contract.event"], "x");
    }
    assert.equal(own.find(({ action }) => action === "die")?.attributes["exitCode"], "7");
    for (const [index, { timeNanos }] of own.entries())
      assert.ok(timeNanos > (own[index - 1]?.timeNanos ?? 0n));
  });

  it("reports kill, die and stop when a container is stopped", async () => {
    const watch = await EventWatch.open(scene().service);
    const id = await scene().run(["sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait"]);
    await scene().service.containers.stop(id, { graceSeconds: 5 });
    await watch.event(id, "stop");
    await scene().service.containers.remove(id, { force: true });
    await watch.event(id, "destroy");
    await watch.close();
    const actions = watch.actionsOf(id);
    assert.deepEqual(actions.slice(0, 3), ["create", "start", "kill"]);
    // Docker 26 tells of the stop before the die now and then.
    assert.deepEqual(actions.slice(-3, -1).sort(), ["die", "stop"]);
    assert.equal(actions.at(-1), "destroy");
  });

  it("reports kill, die and destroy when a running container is removed by force", async () => {
    const watch = await EventWatch.open(scene().service);
    const id = await scene().sleeper();
    await scene().service.containers.remove(id, { force: true });
    await watch.event(id, "destroy");
    await watch.close();
    assert.deepEqual(watch.actionsOf(id), ["create", "start", "kill", "die", "destroy"]);
  });

  it("has an end for each exec, without the command in its action", async () => {
    const watch = await EventWatch.open(scene().service);
    const container = await scene().sleeper();
    const { id, stream } = await scene().exec(container, { command: ["sh", "-c", "exit 5"] });
    await collect(stream.output);
    const died = await watch.event(container, "exec_die");
    await watch.close();
    assert.equal(died.attributes["execID"], id);
    assert.equal(died.attributes["exitCode"], "5");
    const actions = watch.actionsOf(container).filter((action) => action.startsWith("exec_"));
    assert.deepEqual(actions, ["exec_create", "exec_start", "exec_die"]);
  });

  it("shows the state of an event when the event arrives", async () => {
    const watch = await EventWatch.open(scene().service);
    const id = await scene().run(["true"]);
    await watch.event(id, "die");
    const { state } = await scene().service.containers.inspect(id);
    await watch.close();
    assert.deepEqual([state.running, state.exitCode], [false, 0]);
  });

  it("replays from a time on, that time included", async () => {
    const watch = await EventWatch.open(scene().service);
    const { id } = await scene().runToEnd("true");
    const started = await watch.event(id, "start");
    await watch.event(id, "die");
    await watch.close();
    const replay = await EventWatch.open(scene().service, started.timeNanos);
    await replay.event(id, "die");
    assert.deepEqual(replay.actionsOf(id), ["start", "die"]);
    assert.deepEqual(
      replay.events.find(({ subject, action }) => subject === id && action === "start"),
      started,
    );
    await scene().service.containers.remove(id);
    await replay.event(id, "destroy");
    await replay.close();
  });

  it("serves several subscribers, and continues when one leaves", async () => {
    const first = await EventWatch.open(scene().service);
    const second = await EventWatch.open(scene().service);
    await first.close();
    const { id } = await scene().runToEnd("true");
    await second.event(id, "die");
    await second.close();
    assert.deepEqual(first.actionsOf(id), []);
    assert.deepEqual(second.actionsOf(id), ["create", "start", "die"]);
  });

  it("ends quietly by its signal, even before it began", async () => {
    const abort = new AbortController();
    const subscription = scene().service.events.subscribe({ signal: abort.signal });
    await subscription.ready;
    const collected = collect(subscription);
    abort.abort();
    assert.ok(Array.isArray(await collected));
    const never = scene().service.events.subscribe({ signal: AbortSignal.abort() });
    await rejectsWith("cancelled", never.ready);
    assert.deepEqual(await collect(never), []);
  });

  it("reports only the requested actions", async () => {
    const { service } = scene();
    const abort = new AbortController();
    const subscription = service.events.subscribe({
      actions: ["start", "exec_die", "untag"],
      signal: abort.signal,
    });
    await subscription.ready;
    const heard: DockerEvent[] = [];
    const hearing = (async () => {
      for await (const event of subscription) heard.push(event);
    })();
    const watch = await EventWatch.open(service);
    const container = await scene().sleeper();
    const { stream } = await scene().exec(container, { command: ["true"] });
    await collect(stream.output);
    await watch.event(container, "exec_die");
    await service.containers.remove(container, { force: true });
    await watch.event(container, "destroy");
    await watch.close();
    const own = () => heard.filter(({ subject }) => subject === container).map(({ action }) => action);
    // Each subscription has a connection of its own.
    await until("the event exec_die", () => own().includes("exec_die") || undefined);
    abort.abort();
    await hearing;
    assert.deepEqual(own(), ["start", "exec_die"]);
  });

  it("reports an image that is tagged and untagged", async () => {
    const { images } = scene().service;
    const watch = await EventWatch.open(scene().service);
    const { id } = await images.inspect(scene().image);
    await images.tag(scene().image, { repository: "contract-events", tag: "one" });
    await images.remove("contract-events:one");
    await watch.event(id, "untag");
    await watch.close();
    assert.deepEqual(watch.actionsOf(id), ["tag", "untag"]);
    assert.ok(watch.events.every((event) => event.subject !== id || event.type === "image"));
  });
}
