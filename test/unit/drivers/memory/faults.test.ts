import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isKind, type CallOptions } from "../../../../src/base/index.js";
import { NameConflict } from "../../../../src/docker/index.js";
import { dockerMethods, type DockerMethod, type MemoryDocker } from "../../../../src/drivers/memory/index.js";
import { collect, create, engineWithBusybox, image, run, turns } from "./rig.js";

const execSpec = { command: ["true"], tty: false, stdin: false, stdout: true, stderr: true };

/** One call of each method of the port. */
function calls(
  engine: MemoryDocker,
  id: string,
  execId: string,
): Record<DockerMethod, (options?: CallOptions) => Promise<unknown>> {
  const { containers, images, execs, events, system } = engine;
  const size = { width: 80, height: 24 };
  return {
    "containers.list": (options) => containers.list({}, options),
    "containers.inspect": (options) => containers.inspect(id, options),
    "containers.create": (options) =>
      containers.create({ name: "fault", config: { image, command: ["true"] }, host: {} }, options),
    "containers.start": (options) => containers.start(id, options),
    "containers.stop": (options) => containers.stop(id, { graceSeconds: 0, ...options }),
    "containers.kill": (options) => containers.kill(id, options),
    "containers.remove": (options) => containers.remove(id, options),
    "containers.update": (options) => containers.update(id, {}, options),
    "containers.logs": (options) => collect(containers.logs(id, options)),
    "containers.attach": (options) =>
      containers.attach(id, { stdin: false, stdout: true, stderr: true, tty: false, ...options }),
    "containers.resize": (options) => containers.resize(id, size, options),
    "containers.export": (options) => collect(containers.export(id, options)),
    "containers.resolveMounts": (options) => containers.resolveMounts(id, options),
    "containers.checkpoint": (options) =>
      containers.checkpoint(id, { name: "c", directory: "/tmp", exit: false, ...options }),
    "images.list": (options) => images.list(options),
    "images.inspect": (options) => images.inspect(image, options),
    "images.history": (options) => images.history(image, options),
    "images.pull": (options) => collect(images.pull({ reference: image }, options)),
    "images.remove": (options) => images.remove(image, options),
    "images.tag": (options) => images.tag(image, { repository: "fault", tag: "1" }, options),
    "execs.create": (options) => execs.create(id, execSpec, options),
    "execs.start": (options) => execs.start(execId, { tty: false, ...options }),
    "execs.inspect": (options) => execs.inspect(execId, options),
    "execs.resize": (options) => execs.resize(execId, size, options),
    "events.subscribe": (options) => events.subscribe({ ...options }).ready,
    "system.ping": (options) => system.ping(options),
    "system.version": (options) => system.version(options),
    "system.info": (options) => system.info(options),
    "system.apiVersion": (options) => system.apiVersion(options),
  };
}

describe("faults of the memory engine", () => {
  let engine: MemoryDocker;
  let id: string;
  let all: ReturnType<typeof calls>;
  beforeEach(async () => {
    engine = engineWithBusybox();
    id = await run(engine, ["sleep", "60"], { name: "target" });
    all = calls(engine, id, await engine.execs.create(id, execSpec));
  });
  afterEach(async () => {
    await engine.close();
    assert.equal(engine.calls.inFlight, 0);
    assert.equal(engine.calls.openStreams(), 0);
  });

  for (const method of dockerMethods) {
    it(`strike ${method}: an error, a hang, a count`, async () => {
      engine.calls.reset();
      engine.faults.on(method, { error: "resource-exhausted", message: "as planned", times: 1 });
      await assert.rejects(
        all[method](),
        (error) => isKind(error, "resource-exhausted") && error.message === "as planned",
      );
      engine.faults.on(method, { hang: true, times: 1 });
      await assert.rejects(all[method]({ deadlineMs: 20 }), (error) => isKind(error, "deadline-exceeded"));
      engine.faults.on(method, { error: "unavailable", times: 1 });
      await assert.rejects(
        all[method](),
        (error) => isKind(error, "unavailable") && error.operation === method,
      );
      assert.equal(engine.calls.count(method), 3);
      assert.equal(engine.calls.count(), 3);
    });
  }

  it("strike before the effect, or after it", async () => {
    const fresh = await create(engine, ["sleep", "60"]);
    engine.faults.on("containers.start", { error: "unavailable", times: 1 });
    await assert.rejects(engine.containers.start(fresh));
    assert.equal((await engine.containers.inspect(fresh)).state.running, false);
    engine.faults.on("containers.start", { error: "unavailable", after: true, times: 1 });
    await assert.rejects(engine.containers.start(fresh));
    assert.equal((await engine.containers.inspect(fresh)).state.running, true);
  });

  it("make calls slow, for one container only, until they are taken away", async () => {
    const other = await create(engine, ["true"]);
    const off = engine.faults.on("containers.inspect", { id: "target", delayMs: 40 });
    const order: string[] = [];
    const inspect = (name: string, reference: string) =>
      engine.containers.inspect(reference).then(() => order.push(name));
    await Promise.all([inspect("slow", id), inspect("slow", id.slice(0, 12)), inspect("other", other)]);
    off();
    const late = new Promise<void>((resolve) => setTimeout(resolve, 40)).then(() => order.push("timer"));
    await Promise.all([late, inspect("not slow", id)]);
    assert.deepEqual(order, ["other", "slow", "slow", "not slow", "timer"]);
  });

  it("strike in the order in which they were set, and carry a cause", async () => {
    const cause = new NameConflict("x", "ghost");
    engine.faults.on("containers.create", { error: "already-exists", cause, times: 1 });
    engine.faults.on("containers.create", { error: "internal" });
    await assert.rejects(
      create(engine, ["true"]),
      (error) => isKind(error, "already-exists") && error.cause === cause,
    );
    await assert.rejects(create(engine, ["true"]), (error) => isKind(error, "internal"));
    engine.faults.clear();
    await create(engine, ["true"]);
  });

  it("leave a create without a waiting caller to end by itself", async () => {
    engine.faults.on("containers.create", { delayMs: 300, times: 1 });
    const late = create(engine, ["true"], { name: "late" });
    await turns();
    await assert.rejects(engine.containers.inspect("late"), (error) => isKind(error, "not-found"));
    assert.equal((await engine.containers.inspect(await late)).name, "late");
    engine.faults.on("containers.create", { delayMs: 60, times: 1 });
    const spec = { name: "orphan", config: { image, command: ["true"] }, host: {} };
    const abort = new AbortController();
    const cut = engine.containers.create(spec, { signal: abort.signal, deadlineMs: 20 });
    abort.abort();
    await assert.rejects(cut, (error) => isKind(error, "deadline-exceeded"), "the signal does not cut it");
    await new Promise((resolve) => setTimeout(resolve, 80));
    assert.equal((await engine.containers.inspect("orphan")).name, "orphan");
  });

  it("affect a stream at its end, after its work", async () => {
    engine.faults.on("images.pull", { error: "unavailable", after: true, times: 1 });
    await assert.rejects(collect(engine.images.pull({ reference: "registry.k8s.io/pause:3.9" })));
    assert.equal((await engine.images.inspect("registry.k8s.io/pause:3.9")).os, "linux");
  });

  it("break the streams that are open, all or those of one method", async () => {
    const attached = await engine.containers.attach(id, {
      stdin: false,
      stdout: true,
      stderr: true,
      tty: false,
    });
    const output = collect(attached.output);
    const logs = collect(engine.containers.logs(id, { follow: true }));
    await turns();
    assert.deepEqual(
      [engine.calls.openStreams("containers.attach"), engine.calls.openStreams("containers.logs")],
      [1, 1],
    );
    engine.faults.breakStreams("containers.logs");
    await assert.rejects(logs, (error) => isKind(error, "unavailable"));
    assert.equal(engine.calls.openStreams(), 1);
    engine.faults.breakStreams();
    await assert.rejects(output, (error) => isKind(error, "unavailable"));
    assert.equal(engine.calls.openStreams(), 0);
    assert.equal((await engine.containers.inspect(id)).state.running, true);
  });
});
