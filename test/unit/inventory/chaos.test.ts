import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { describe, it } from "node:test";
import { dockerMethods } from "../../../src/drivers/memory/index.js";
import { stageOf, type ContainerRecord } from "../../../src/inventory/index.js";
import { eventually, makeContainer, makeSandbox, openInventory, type InventoryLab } from "./lab.js";

const stage = (record: ContainerRecord | undefined) => record && stageOf(record.docker);

/** Reads both lists all the time, as an impatient kubelet would, and counts what they never may be. */
function poll({ inventory }: InventoryLab, atLeast: number): Disposable & { readonly tooShort: number } {
  let tooShort = 0;
  const timer = setInterval(() => {
    if (inventory.sandboxes().length + inventory.workloads().length < atLeast) tooShort++;
  }, 2);
  return {
    get tooShort() {
      return tooShort;
    },
    [Symbol.dispose]: () => {
      clearInterval(timer);
    },
  };
}

async function makeMany(lab: InventoryLab, pod: string, count: number): Promise<string[]> {
  const sandbox = await makeSandbox(lab.engine, pod);
  const ids = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      makeContainer(lab.engine, pod, sandbox, { name: `c${index}` }),
    ),
  );
  await eventually("all are seen running", () =>
    ids.every((id) => stage(lab.inventory.record(id)) === "running"),
  );
  return ids;
}

describe("Inventory, in chaos", () => {
  it("reports each of 200 containers that die at once within 3 s, exactly once", async () => {
    await using lab = await openInventory();
    const ids = await makeMany(lab, "crowd", 200);
    using polling = poll(lab, 201);
    lab.engine.calls.reset();
    for (const [index, id] of ids.entries()) lab.engine.exit(id, index % 100);
    await eventually("all are seen dead", () =>
      ids.every((id) => stage(lab.inventory.record(id)) === "exited"),
    );
    for (const [index, id] of ids.entries())
      assert.equal(lab.inventory.workload(id).docker.state.exitCode, index % 100);
    const stops = lab.steps.filter(({ type }) => type === "stopped").map(({ record }) => record.id);
    assert.deepEqual([...stops].sort(), [...ids].sort());
    const inspects = lab.engine.calls.count("containers.inspect");
    assert.ok(inspects <= 220, `${inspects} inspects for 200 deaths`);
    assert.equal(polling.tooShort, 0);
  });

  it("outlives restarts of Docker under a polling client", async () => {
    await using lab = await openInventory();
    const ids = await makeMany(lab, "steady", 10);
    using polling = poll(lab, 11);
    for (let round = 0; round < 3; round++) {
      await lab.engine.stop();
      await eventually("the loss is told", () => !lab.inventory.connection.ok);
      await pause(100);
      await lab.engine.start();
      await eventually("Docker is back", () => lab.inventory.connection.ok);
      for (const id of ids) assert.equal(stage(lab.inventory.record(id)), "exited");
    }
    assert.equal(polling.tooShort, 0);
  });

  it("shows the last known state while Docker is frozen, and is correct within 3 s afterwards", async () => {
    await using lab = await openInventory();
    const { engine, inventory } = lab;
    const [dies = "", stays = ""] = await makeMany(lab, "frozen", 2);
    using polling = poll(lab, 3);
    const thawsAtMs = performance.now() + 8_000;
    const fault = {
      // Whoever asks is answered when Docker goes on.
      get delayMs() {
        return Math.max(0, thawsAtMs - performance.now());
      },
    };
    for (const method of dockerMethods) engine.faults.on(method, fault);
    engine.faults.events.delay(fault.delayMs);
    engine.exit(dies, 9);
    await eventually("the loss is told", () => !inventory.connection.ok, 8_000);
    assert.equal(stage(inventory.record(dies)), "running");
    await pause(fault.delayMs);
    await eventually("Docker is back", () => inventory.connection.ok);
    await eventually("the end is seen", () => stage(inventory.record(dies)) === "exited");
    assert.equal(inventory.workload(dies).docker.state.exitCode, 9);
    assert.equal(stage(inventory.record(stays)), "running");
    assert.equal(lab.steps.filter(({ type }) => type === "stopped").length, 1);
    assert.equal(polling.tooShort, 0);
  });

  it("is correct within 3 s while events are late, and emits no event twice", async () => {
    await using lab = await openInventory();
    const [id = "", other = ""] = await makeMany(lab, "late", 2);
    lab.engine.faults.events.delay(4_000);
    lab.engine.exit(id, 5);
    await lab.engine.containers.start(id);
    lab.engine.exit(id, 6);
    lab.engine.exit(other, 7);
    await eventually("both are seen dead", () =>
      [id, other].every((each) => stage(lab.inventory.record(each)) === "exited"),
    );
    assert.equal(lab.inventory.workload(id).docker.state.exitCode, 6);
    const told = lab.steps.length;
    await pause(4_500);
    assert.equal(lab.steps.length, told);
    assert.equal(lab.inventory.workload(id).docker.state.exitCode, 6);
  });

  it("keeps the exit code of a life that was followed by another within milliseconds", async () => {
    await using lab = await openInventory();
    const [id = ""] = await makeMany(lab, "phoenix", 1);
    lab.engine.faults.on("containers.inspect", { delayMs: 50, id });
    lab.engine.exit(id, 42);
    await lab.engine.containers.start(id);
    await eventually("it is seen to have started again", () =>
      lab.steps.some(({ type }, index) => type === "started" && index > 3),
    );
    const own = lab.steps.filter(({ record }) => record.id === id);
    assert.deepEqual(
      own.map(({ type }) => type),
      ["created", "started", "stopped", "started"],
    );
    assert.equal(own[2]?.record.docker.state.exitCode, 42);
    assert.equal(stage(lab.inventory.record(id)), "running");
  });

  it("reports a running container that vanished as stopped, then as deleted", async () => {
    await using lab = await openInventory();
    const [id = ""] = await makeMany(lab, "gone", 1);
    lab.engine.faults.events.drop(1_000);
    await lab.engine.containers.remove(id, { force: true });
    await eventually("it is gone", () => lab.inventory.record(id) === undefined);
    const own = lab.steps.filter(({ record }) => record.id === id);
    assert.deepEqual(
      own.map(({ type }) => type),
      ["created", "started", "stopped", "deleted"],
    );
    assert.ok(own.slice(2).every(({ record }) => stageOf(record.docker) === "exited"));
  });

  it("lets 20 hanging inspects delay neither the other containers nor the next sync", async () => {
    await using lab = await openInventory();
    const ids = await makeMany(lab, "stuck", 30);
    const stuck = ids.slice(0, 20);
    for (const id of stuck) lab.engine.faults.on("containers.inspect", { hang: true, id });
    for (const id of ids) lab.engine.exit(id, 1);
    await eventually(
      "the others are seen dead",
      () => ids.slice(20).every((id) => stage(lab.inventory.record(id)) === "exited"),
      2_000,
    );
    await eventually("and those too, by what the events told", () =>
      stuck.every((id) => stage(lab.inventory.record(id)) === "exited"),
    );
    lab.engine.faults.events.breakStream();
    await eventually("Docker is followed again", () => lab.inventory.connection.ok);
    assert.equal(lab.inventory.workloads().length, 30);
  });

  it("does not call a ghost running on which Docker is silent", async () => {
    await using lab = await openInventory();
    const [id = ""] = await makeMany(lab, "ghost", 1);
    lab.engine.faults.on("containers.inspect", { hang: true, id });
    lab.engine.makeGhost(id);
    await eventually("it is known to be gone", () => lab.inventory.record(id)?.processGone === true, 6_000);
  });

  it("believes Docker where the node's processes cannot be read", async () => {
    await using lab = await openInventory({ ready: false });
    const pod = await makeSandbox(lab.engine, "p");
    lab.engine.host.processes.isAlive = () => Promise.reject(new Error("EMFILE"));
    lab.inventory.start();
    await lab.inventory.whenReady({ deadlineMs: 5_000 });
    assert.equal(lab.inventory.sandbox(pod).processGone, false);
  });

  it("inspects a container that only has the label once, and logs it once", async () => {
    await using lab = await openInventory({ ready: false });
    const { id } = await lab.engine.containers.create({
      name: "somebodys",
      config: { image: "busybox:1.36", labels: { "io.kubernetes.docker.type": "other" } },
      host: {},
    });
    lab.inventory.start();
    await lab.inventory.whenReady({ deadlineMs: 5_000 });
    lab.engine.calls.reset();
    await eventually("a list is compared", () => lab.engine.calls.count("containers.list") > 0, 10_000);
    await pause(100);
    assert.equal(lab.engine.calls.count("containers.inspect"), 0);
    assert.equal(lab.inventory.record(id), undefined);
    assert.deepEqual(lab.steps, []);
  });
});

describe("Inventory, images in chaos", () => {
  it("does not lose an image that was pulled while an older list was on its way", async () => {
    await using lab = await openInventory();
    const { engine, inventory } = lab;
    engine.registry.add("late:1");
    engine.faults.on("images.list", { delayMs: 300, after: true, times: 1 });
    const listing = inventory.images.refreshAll();
    await pause(50);
    for await (const progress of engine.images.pull({ reference: "late:1" })) assert.ok(progress);
    const pulled = await inventory.images.refresh("late:1");
    assert.ok(pulled);
    await listing;
    assert.equal(inventory.images.find("late:1")?.id, pulled.id);
  });

  it("lists again for a change that came after the list under way", async () => {
    await using lab = await openInventory();
    const { engine, inventory } = lab;
    engine.faults.on("images.list", { delayMs: 200, after: true, times: 1 });
    const first = inventory.images.refreshAll();
    await pause(20);
    await engine.images.tag("busybox:1.36", { repository: "mine", tag: "v2" });
    engine.calls.reset();
    const later = [inventory.images.refreshAll(), inventory.images.refreshAll()];
    await Promise.all([first, ...later]);
    assert.ok(inventory.images.find("mine:v2"));
    assert.equal(engine.calls.count("images.list"), 1);
  });

  it("keeps its objects when nothing has changed", async () => {
    await using lab = await openInventory();
    const before = [...lab.inventory.images.records()];
    await lab.inventory.images.refreshAll();
    const after = [...lab.inventory.images.records()];
    assert.equal(after.length, before.length);
    assert.ok(after.every((image, index) => image === before[index]));
  });

  it("serves pods though the images cannot be listed any more", async () => {
    await using lab = await openInventory();
    const { engine, inventory } = lab;
    engine.faults.on("images.list", { error: "internal" });
    engine.faults.events.breakStream();
    const pod = await makeSandbox(engine, "p");
    await eventually("the pod is seen", () => stage(inventory.record(pod)) === "running");
    await eventually("and Docker counts as reached", () => inventory.connection.ok);
    assert.ok(inventory.images.find("busybox:1.36"));
  });

  it("waits with its first answer until the images are known", async () => {
    await using lab = await openInventory({ ready: false });
    const stop = lab.engine.faults.on("images.list", { error: "internal" });
    lab.inventory.start();
    await pause(300);
    assert.equal(lab.inventory.isReady, false);
    stop();
    await lab.inventory.whenReady({ deadlineMs: 5_000 });
    assert.ok(lab.inventory.images.find("busybox:1.36"));
  });
});
