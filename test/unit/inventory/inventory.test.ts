import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { pino } from "pino";
import { isKind } from "../../../src/base/index.js";
import { ContainerIndex } from "../../../src/inventory/container-index.js";
import { Inventory, stageOf, type ContainerRecord } from "../../../src/inventory/index.js";
import { Inspector } from "../../../src/inventory/inspector.js";
import { fromSpec } from "../../../src/inventory/record.js";
import { createTestShim } from "../../../src/testing/index.js";
import { containerIn, eventually, image, makeContainer, makeSandbox, openInventory } from "./lab.js";

const stage = (record: ContainerRecord | undefined) => record && stageOf(record.docker);

describe("Inventory", () => {
  it("answers unavailable before the first sync, never an empty list", async () => {
    await using lab = await openInventory({ ready: false });
    const { inventory } = lab;
    for (const read of [
      () => inventory.sandboxes(),
      () => inventory.workloads(),
      () => inventory.sandbox("0".repeat(64)),
      () => inventory.engine(),
    ]) {
      assert.throws(read, (error) => isKind(error, "unavailable"));
    }
  });

  it("reads the existing state at start, and follows changes without a list", async () => {
    await using lab = await openInventory({ ready: false });
    const { engine, inventory } = lab;
    const pod = await makeSandbox(engine, "before");
    inventory.start();
    await inventory.whenReady({ deadlineMs: 5_000 });
    assert.deepEqual(
      inventory.sandboxes().map(({ id }) => id),
      [pod],
    );
    const container = await makeContainer(engine, "before", pod);
    await eventually("the container runs", () => stage(inventory.record(container)) === "running");
    assert.deepEqual(
      inventory.workloadsOf(pod).map(({ id }) => id),
      [container],
    );
    engine.exit(container, 3);
    await eventually("it has exited", () => stage(inventory.record(container)) === "exited");
    assert.equal(inventory.workload(container).docker.state.exitCode, 3);
    await engine.containers.remove(container);
    await eventually("it is gone", () => inventory.record(container) === undefined);
    assert.deepEqual(inventory.workloadsOf(pod), []);
  });

  it("finds by an unambiguous prefix and refuses the other kind", async () => {
    await using lab = await openInventory();
    const { engine, inventory } = lab;
    const pod = await makeSandbox(engine, "web");
    await inventory.refresh(pod);
    assert.equal(inventory.sandbox(pod.slice(0, 12)).id, pod);
    assert.throws(() => inventory.workload(pod), /it is a sandbox/);
    assert.throws(
      () => inventory.sandbox("f".repeat(64)),
      (error) => isKind(error, "not-found"),
    );
    assert.throws(
      () => inventory.sandbox(""),
      (error) => isKind(error, "invalid-argument"),
    );
  });

  it("emits each life event once and in order, also for a very short life", async () => {
    await using lab = await openInventory();
    const { engine, inventory, steps } = lab;
    const pod = await makeSandbox(engine, "quick");
    const ids = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        makeContainer(engine, "quick", pod, { name: `c${index}`, command: ["sh", "-c", "exit 7"] }),
      ),
    );
    await eventually("all have stopped", () => steps.filter(({ type }) => type === "stopped").length === 20);
    await Promise.all(ids.map((id) => engine.containers.remove(id, { force: true })));
    await eventually("all are deleted", () => steps.filter(({ type }) => type === "deleted").length === 20);
    for (const id of ids) {
      const own = steps.filter(({ record }) => record.id === id);
      assert.deepEqual(
        own.map(({ type }) => type),
        ["created", "started", "stopped", "deleted"],
      );
      assert.equal(own[2]?.record.docker.state.exitCode, 7);
    }
    assert.equal(inventory.workloads().length, 0);
  });

  it("logs the error of a listener, also of one that is async, and tells the others", async () => {
    let logged = "";
    const log = pino({ level: "error" }, { write: (line: string) => (logged += line) });
    await using test = await createTestShim({ log });
    const inventory = test.shim.resolve(Inventory);
    const heard: string[] = [];
    inventory.subscribe(() => {
      throw new Error("broken at once");
    });
    inventory.subscribe(() => Promise.reject(new Error("broken later")));
    inventory.subscribe(({ type }) => heard.push(type));
    await makeSandbox(test.engine, "p", false);
    await eventually("it is told", () => heard.includes("created"));
    await eventually("both are logged", () => /broken at once[^]*broken later/.test(logged));
  });

  it("reports a life once though Docker notes its end before its start, however often it is asked", async () => {
    await using lab = await openInventory();
    const { engine, inventory, steps } = lab;
    lab.onAnswer = ({ state, ...rest }) =>
      state.finishedAtNanos === undefined
        ? { ...rest, state }
        : { ...rest, state: { ...state, startedAtNanos: state.finishedAtNanos + 1_000_000n } };
    const pod = await makeSandbox(engine, "p");
    const id = await makeContainer(engine, "p", pod, { command: ["sh", "-c", "exit 9"] });
    await eventually("it has stopped", () => stage(inventory.record(id)) === "exited");
    await inventory.refresh(id);
    await inventory.refresh(id);
    await engine.containers.remove(id);
    await eventually("it is deleted", () => steps.some(({ type }) => type === "deleted"));
    const types = steps.filter(({ record }) => record.id === id).map(({ type }) => type);
    assert.deepEqual(types, ["created", "started", "stopped", "deleted"]);
  });

  it("reports the whole life of a container that is removed before a second inspect", async () => {
    await using lab = await openInventory();
    const { engine, steps } = lab;
    const pod = await makeSandbox(engine, "p");
    const { containers } = engine;
    lab.onAnswer = async (answer) => {
      if (answer.id === pod || answer.state.running) return answer;
      await containers.start(answer.id);
      engine.exit(answer.id, 4);
      await pause(20);
      return answer;
    };
    const id = await makeContainer(engine, "p", pod, { start: false });
    await eventually("it is inspected", () => lab.inspected.includes(id));
    lab.onAnswer = () => containers.remove(id).then(() => Promise.reject(new Error("too late")));
    await eventually("it is deleted", () => steps.some(({ type }) => type === "deleted"));
    const own = steps.filter(({ record }) => record.id === id);
    const types = own.map(({ type }) => type);
    assert.deepEqual(types, ["created", "started", "stopped", "deleted"]);
    assert.equal(own[2]?.record.docker.state.exitCode, 4);
  });

  it("reports the whole life of a container that is removed before its first inspect", async () => {
    await using lab = await openInventory();
    const { engine, steps } = lab;
    const pod = await makeSandbox(engine, "p");
    engine.faults.on("containers.inspect", { delayMs: 100 });
    const id = await makeContainer(engine, "p", pod);
    engine.exit(id, 9);
    await engine.containers.remove(id);
    await eventually("it is deleted", () => steps.some(({ type }) => type === "deleted"));
    const own = steps.filter(({ record }) => record.id === id);
    assert.deepEqual(
      own.map(({ type, record }) => [type, record.kind === "container" && record.container.name]),
      ["created", "started", "stopped", "deleted"].map((type) => [type, "main"]),
    );
    assert.equal(own[2]?.record.docker.state.exitCode, 9);
  });

  it("reports the whole life of a container that is removed while its end is awaited", async () => {
    await using lab = await openInventory();
    const { engine, steps } = lab;
    const pod = await makeSandbox(engine, "p");
    engine.host.processes.isAlive = () => Promise.resolve(false);
    const id = await makeContainer(engine, "p", pod);
    await eventually("it is inspected", () => lab.inspected.includes(id));
    await engine.containers.remove(id, { force: true });
    await eventually("it is deleted", () => steps.some(({ type }) => type === "deleted"));
    const types = steps.filter(({ record }) => record.id === id).map(({ type }) => type);
    assert.deepEqual(types, ["created", "started", "stopped", "deleted"]);
  });

  it("keeps the exit code of a container that is removed at once", async () => {
    await using lab = await openInventory();
    const { engine, steps, inventory } = lab;
    const pod = await makeSandbox(engine, "p");
    const id = await makeContainer(engine, "p", pod);
    await inventory.refresh(id);
    engine.faults.on("containers.inspect", { delayMs: 100, id });
    engine.oom(id);
    await engine.containers.remove(id, { force: true });
    await eventually("it is deleted", () => steps.some(({ type }) => type === "deleted"));
    const stopped = steps.find(({ type, record }) => type === "stopped" && record.id === id);
    assert.equal(stopped?.record.docker.state.exitCode, 137);
    assert.equal(stopped.record.docker.state.oomKilled, true);
  });

  it("reports an unobserved restart as a stop and a start", async () => {
    await using lab = await openInventory();
    const { engine, steps, inventory } = lab;
    const pod = await makeSandbox(engine, "p");
    const id = await makeContainer(engine, "p", pod);
    await inventory.refresh(id);
    engine.faults.events.drop(100);
    engine.exit(id, 0);
    await engine.containers.start(id);
    await inventory.refresh(id);
    assert.deepEqual(
      steps.filter(({ record }) => record.id === id).map(({ type }) => type),
      ["created", "started", "stopped", "started"],
    );
  });

  it("sees its own change at once, though the event is late", async () => {
    await using lab = await openInventory();
    const { engine, inventory } = lab;
    engine.faults.events.delay(60_000);
    const pod = await makeSandbox(engine, "p");
    assert.equal(stage(await inventory.refresh(pod)), "running");
    await engine.containers.stop(pod, { graceSeconds: 0 });
    assert.equal(stage(await inventory.refresh(pod)), "exited");
    await engine.containers.remove(pod);
    inventory.removed(pod);
    assert.equal(inventory.record(pod), undefined);
  });

  it("inspects a container once for each change, whatever the number of events", async () => {
    await using lab = await openInventory();
    const { engine, inventory, steps, inspected } = lab;
    const pod = await makeSandbox(engine, "p");
    await inventory.refresh(pod);
    inspected.length = 0;
    const spec = containerIn("p", pod);
    const { id } = await engine.containers.create(spec);
    await inventory.created(id, spec);
    const made = inventory.workload(id);
    assert.deepEqual([stage(made), made.provisional, made.sandboxId], ["created", false, pod]);
    assert.deepEqual(inventory.workloadsOf(pod), [made]);
    await engine.containers.start(id);
    const started = await inventory.refresh(id);
    assert.equal(stage(started), "running");
    assert.ok(started?.docker.state.pid);
    await engine.containers.stop(id, { graceSeconds: 0 });
    assert.equal(stage(await inventory.refresh(id)), "exited");
    assert.equal(inventory.workload(id).docker.state.exitCode, 143);
    await engine.containers.remove(id);
    inventory.removed(id);
    assert.equal(inventory.record(id), undefined);
    await eventually("it is deleted", () => steps.some(({ type }) => type === "deleted"));
    await pause(50);
    assert.deepEqual(inspected, [id, id, id]);
    const own = steps.filter(({ record }) => record.id === id);
    assert.deepEqual(
      own.map(({ type, record }) => [type, stage(record)]),
      [
        ["created", "created"],
        ["started", "running"],
        ["stopped", "exited"],
        ["deleted", "exited"],
      ],
    );
    assert.deepEqual(inventory.workloadsOf(pod), []);
  });

  it("inspects a container once for all events of a moment", async () => {
    await using lab = await openInventory();
    const { engine, inventory, inspected } = lab;
    const pod = await makeSandbox(engine, "p", false);
    await inventory.refresh(pod);
    inspected.length = 0;
    await engine.containers.start(pod);
    engine.exit(pod, 4);
    await eventually("the end is seen", () => stage(inventory.record(pod)) === "exited");
    await pause(50);
    assert.deepEqual(inspected, [pod]);
  });

  it("has the container as Docker has it after a change that took long and failed", async () => {
    await using lab = await openInventory();
    const { engine, inventory, steps } = lab;
    const pod = await makeSandbox(engine, "p");
    await inventory.refresh(pod);
    engine.faults.on("containers.stop", { error: "unavailable", after: true, delayMs: 100, times: 1 });
    const stopping = engine.containers.stop(pod, { graceSeconds: 0 });
    await assert.rejects(stopping.finally(() => inventory.refresh(pod)));
    assert.equal(stage(inventory.record(pod)), "exited");
    assert.deepEqual(
      steps.map(({ type }) => type),
      ["created", "started", "stopped"],
    );
  });

  it("inspects again for a caller that arrives during an older inspect", async () => {
    await using lab = await openInventory();
    const { engine, inventory, inspected } = lab;
    const pod = await makeSandbox(engine, "p", false);
    engine.faults.on("containers.inspect", { delayMs: 50, after: true, times: 1 });
    const first = inventory.refresh(pod);
    await pause(10);
    await engine.containers.start(pod);
    const later = [inventory.refresh(pod), inventory.refresh(pod)];
    assert.equal(stage(await first), "created");
    assert.deepEqual((await Promise.all(later)).map(stage), ["running", "running"]);
    assert.deepEqual(inspected, [pod, pod]);
  });

  it("shows a new container as requested while Docker does not answer an inspect", async () => {
    await using lab = await openInventory();
    const { engine, inventory, steps } = lab;
    const spec = containerIn("p", "0".repeat(64));
    const { id } = await engine.containers.create(spec);
    engine.faults.on("containers.inspect", { hang: true });
    await inventory.created(id, spec);
    const made = inventory.workload(id);
    assert.deepEqual([stage(made), made.provisional, made.logPath], ["created", true, ""]);
    assert.equal(made.docker.imageId, inventory.images.find(image)?.id);
    engine.faults.clear();
    await eventually("Docker's own answer", () => inventory.record(id)?.provisional === false, 5_000);
    assert.deepEqual(
      steps.map(({ type }) => type),
      ["created"],
    );
  });

  it("keeps a new container that is missing in an earlier list", async () => {
    await using lab = await openInventory();
    const spec = containerIn("p", "0".repeat(64));
    const { id } = await lab.engine.containers.create(spec);
    const emitted: string[] = [];
    const log = pino({ level: "silent" });
    const index = new ContainerIndex({
      inspector: new Inspector({
        docker: lab.engine,
        log,
        isAlive: undefined,
        oomKills: undefined,
        imageLabels: () => undefined,
      }),
      log,
      sameClock: true,
      onLifeEvent: ({ type }) => emitted.push(type),
    });
    const listedAtMs = performance.now();
    const describing = index.describe(fromSpec(id, spec, { createdAtNanos: 1n, imageId: undefined }));
    assert.equal(await index.reconcile([], performance.now(), true), 0);
    await describing;
    assert.equal(await index.reconcile([], listedAtMs, true), 0);
    assert.notEqual(index.get(id)?.docker.createdAtNanos, 1n);
    assert.deepEqual(emitted, ["created"]);
    index.close();
  });

  it("shows a container whose inspect hangs as last known, and does not wait for it", async () => {
    await using lab = await openInventory();
    const { engine, inventory } = lab;
    const pod = await makeSandbox(engine, "p");
    const stuck = await makeContainer(engine, "p", pod, { name: "stuck" });
    await inventory.refresh(stuck);
    engine.faults.on("containers.inspect", { hang: true, id: stuck });
    engine.exit(stuck, 1);
    const other = await makeContainer(engine, "p", pod, { name: "other" });
    await eventually("the other is seen", () => stage(inventory.record(other)) === "running", 1_000);
    assert.equal(inventory.workloads().length, 2);
    await eventually(
      "events tell what the inspect does not",
      () => stage(inventory.record(stuck)) === "exited",
    );
    engine.faults.clear();
    await eventually("and then Docker's own word", () => !inventory.record(stuck)?.provisional, 5_000);
  });

  it("syncs again at once though Docker hangs on a container for long already", async () => {
    await using lab = await openInventory();
    const { engine, inventory } = lab;
    const pod = await makeSandbox(engine, "p");
    await inventory.refresh(pod);
    engine.faults.on("containers.inspect", { hang: true, id: pod });
    await inventory.refresh(pod);
    engine.faults.events.breakStream();
    await eventually("the loss is noticed", () => !inventory.connection.ok, 1_000);
    await eventually("it is in sync again", () => inventory.connection.ok, 1_500);
    assert.equal(stage(inventory.record(pod)), "running");
  });

  it("syncs although an inspect hangs, and shows that container as in the list", async () => {
    await using lab = await openInventory({ ready: false });
    const { engine, inventory } = lab;
    const pod = await makeSandbox(engine, "p");
    const stuck = await makeContainer(engine, "p", pod);
    engine.faults.on("containers.inspect", { hang: true, id: stuck });
    inventory.start();
    await inventory.whenReady({ deadlineMs: 5_000 });
    assert.equal(stage(inventory.record(stuck)), "running");
    assert.equal(inventory.workload(stuck).container.name, "main");
  });

  for (const [what, strike] of [
    [
      "a broken stream",
      (faults) => {
        faults.breakStream();
      },
    ],
    [
      "a silent stream",
      (faults) => {
        faults.silence();
      },
    ],
    [
      "dropped events",
      (faults) => {
        faults.drop(1_000);
      },
    ],
  ] as const satisfies readonly (readonly [
    string,
    (faults: { breakStream(): void; silence(): void; drop(count: number): void }) => void,
  ])[]) {
    it(`is right again within 3 s after ${what}, and never falsely empty`, async () => {
      await using lab = await openInventory();
      const { engine, inventory } = lab;
      const pod = await makeSandbox(engine, "stays");
      const goes = await makeSandbox(engine, "goes");
      await inventory.refresh(pod);
      await inventory.refresh(goes);
      let falselyEmpty = 0;
      const poll = setInterval(() => {
        if (inventory.sandboxes().length === 0) falselyEmpty++;
      }, 5);
      try {
        strike(engine.faults.events);
        await engine.containers.remove(goes, { force: true });
        const comes = await makeSandbox(engine, "comes");
        await eventually("the new one is there", () => stage(inventory.record(comes)) === "running");
        await eventually("the old one is gone", () => inventory.record(goes) === undefined);
      } finally {
        clearInterval(poll);
      }
      assert.equal(falselyEmpty, 0);
    });
  }

  it("survives a restart of Docker: reports it, and is correct within 3 s afterwards", async () => {
    await using lab = await openInventory();
    const { engine, inventory } = lab;
    const pod = await makeSandbox(engine, "p");
    await inventory.refresh(pod);
    await engine.stop();
    await eventually("the connection is lost", () => !inventory.connection.ok);
    assert.equal(inventory.sandboxes().length, 1);
    await engine.start();
    await eventually("it is back", () => inventory.connection.ok);
    await eventually("the pod is seen as stopped", () => stage(inventory.record(pod)) === "exited");
  });

  it("does not report a container without a process as running", async () => {
    await using lab = await openInventory();
    const { engine, inventory } = lab;
    const pod = await makeSandbox(engine, "ghost");
    const record = await inventory.refresh(pod);
    engine.faults.events.drop(1_000);
    const pid = record?.docker.state.pid ?? 0;
    engine.host.processes.isAlive = (asked) => Promise.resolve(asked !== pid);
    await eventually("it is known to be gone", () => inventory.record(pod)?.processGone === true);
  });

  it("waits for Docker to learn of an end before it calls a process lost", async () => {
    await using lab = await openInventory();
    const { engine, inventory } = lab;
    const pod = await makeSandbox(engine, "brief");
    const { state } = await engine.containers.inspect(pod);
    engine.host.processes.isAlive = (asked) => Promise.resolve(asked !== state.pid);
    setTimeout(() => void engine.containers.kill(pod), 50);
    const record = await inventory.refresh(pod);
    assert.deepEqual([stage(record), record?.processGone], ["exited", false]);
  });

  it("gives the same times and records after a restart of the shim", async () => {
    await using lab = await openInventory();
    const { engine, inventory } = lab;
    const pod = await makeSandbox(engine, "p");
    const first = await inventory.refresh(pod);
    const again = lab.second();
    again.start();
    await again.whenReady({ deadlineMs: 5_000 });
    assert.deepEqual(again.sandbox(pod), first);
    assert.ok((first?.docker.createdAtNanos ?? 0n) > 1_000_000_000_000_000_000n);
  });

  it("follows images: pulled, tagged, untagged and removed", async () => {
    await using lab = await openInventory();
    const { engine, inventory } = lab;
    const found = inventory.images.find(image);
    assert.ok(found);
    for (const name of ["docker.io/library/busybox:1.36", found.id, found.id.slice(7, 19)]) {
      assert.equal(inventory.images.find(name)?.id, found.id);
    }
    await engine.images.tag(image, { repository: "mine", tag: "v1" });
    await eventually("the tag is seen", () => inventory.images.find("mine:v1")?.id === found.id);
    await engine.images.remove("mine:v1");
    await eventually("it is gone", () => inventory.images.find("mine:v1") === undefined);
    await engine.images.remove(image);
    await inventory.images.refresh(found.id);
    assert.equal(inventory.images.find(image), undefined);
    assert.equal(inventory.images.find("not an image name at all"), undefined);
  });

  it("keeps nothing of removed containers, and leaves nothing behind when it is closed", async () => {
    const lab = await openInventory();
    const { engine, inventory } = lab;
    for (let round = 0; round < 50; round++) {
      const pod = await makeSandbox(engine, `p${round}`);
      const id = await makeContainer(engine, `p${round}`, pod);
      await engine.containers.remove(id, { force: true });
      await engine.containers.remove(pod, { force: true });
    }
    await eventually("all are gone", () => inventory.sandboxes().length + inventory.workloads().length === 0);
    await lab[Symbol.asyncDispose]();
    assert.deepEqual(
      process.getActiveResourcesInfo().filter((kind) => kind === "Timeout"),
      [],
    );
  });
});
