import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isKind } from "../../../../src/base/index.js";
import type { MemoryDocker, Program } from "../../../../src/drivers/memory/index.js";
import { collect, create, engineWithBusybox, image, run, turns } from "./rig.js";

const execSpec = { command: ["sleep", "60"], tty: false, stdin: false, stdout: true, stderr: true };

describe("a memory engine that tests play with", () => {
  let engine: MemoryDocker;
  let actions: string[];
  beforeEach(async () => {
    engine = engineWithBusybox();
    actions = await recordActions(engine);
  });
  afterEach(async () => {
    await engine.close();
  });

  it("ends a container with a code", async () => {
    const id = await run(engine, ["sleep", "60"]);
    engine.exit(id, 42);
    const { state } = await engine.containers.inspect(id);
    assert.deepEqual([state.status, state.exitCode, state.oomKilled], ["exited", 42, false]);
  });

  it("runs a container out of memory", async () => {
    const id = await run(engine, ["sleep", "60"]);
    engine.oom(id);
    await turns();
    const { state } = await engine.containers.inspect(id);
    assert.deepEqual([state.exitCode, state.oomKilled], [137, true]);
    assert.deepEqual(actions, ["create", "start", "oom", "die"]);
    await engine.containers.start(id);
    assert.equal((await engine.containers.inspect(id)).state.oomKilled, false, "a new run has its own fate");
  });

  it("pauses a container: it prints nothing, refuses execs, and can be killed", async () => {
    const tick: Program = async ({ stdout, sleep }) => {
      for (;;) {
        await stdout.write("tick\n");
        await sleep(10);
      }
    };
    engine.load({ name: image, programs: { "/bin/tick": tick } });
    const id = await run(engine, ["tick"]);
    engine.pause(id);
    const frozen = (await collect(engine.containers.logs(id))).length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok((await collect(engine.containers.logs(id))).length <= frozen + 1);
    assert.equal((await engine.containers.inspect(id)).state.status, "paused");
    await assert.rejects(engine.execs.create(id, execSpec), (error) => isKind(error, "conflict"));
    await assert.rejects(engine.containers.start(id), (error) => isKind(error, "conflict"));
    await assert.rejects(engine.containers.remove(id), (error) => isKind(error, "conflict"));
    engine.unpause(id);
    while ((await collect(engine.containers.logs(id))).length <= frozen + 1)
      await new Promise((resolve) => setTimeout(resolve, 10));
    engine.pause(id);
    await engine.containers.kill(id);
    assert.equal((await engine.containers.inspect(id)).state.exitCode, 137);
  });

  it("has processes that no signal ends", async () => {
    const id = await run(engine, ["sleep", "60"]);
    engine.makeUnkillable(id);
    await assert.rejects(engine.containers.stop(id, { graceSeconds: 0, deadlineMs: 30 }), (error) =>
      isKind(error, "deadline-exceeded"),
    );
    assert.equal((await engine.containers.inspect(id)).state.running, true);
  });

  it("has containers that run for the engine but have no process on the node", async () => {
    const id = await run(engine, ["sleep", "60"]);
    const { pid } = (await engine.containers.inspect(id)).state;
    assert.ok(pid !== undefined);
    assert.equal(await engine.host.processes.isAlive(pid), true);
    engine.makeGhost(id);
    assert.equal(await engine.host.processes.isAlive(pid), false);
    assert.equal((await engine.containers.inspect(id)).state.running, true);
  });

  it("shares its processes with the node: killing an exec's tree ends it", async () => {
    const id = await run(engine, ["sleep", "60"]);
    const execId = await engine.execs.create(id, execSpec);
    const stream = await engine.execs.start(execId, { tty: false });
    const { pid } = await engine.execs.inspect(execId);
    assert.ok(pid !== undefined);
    assert.equal(await engine.host.processes.killTree(pid), 1);
    assert.deepEqual(await collect(stream.output), []);
    const { running, exitCode } = await engine.execs.inspect(execId);
    assert.deepEqual([running, exitCode], [false, 137]);
    assert.equal(await engine.host.processes.killTree(pid), 0);
    assert.equal((await engine.containers.inspect(id)).state.running, true);
    assert.deepEqual(actions.slice(-3), ["exec_create", "exec_start", "exec_die"]);
  });

  it("ends the containers that share a pid namespace with its first process", async () => {
    const owner = await run(engine, ["sleep", "60"]);
    const guest = await run(engine, ["sleep", "60"], { host: { pidMode: `container:${owner}` } });
    await engine.containers.kill(owner);
    assert.equal((await engine.containers.inspect(guest)).state.exitCode, 137);
  });

  it("stops: calls and streams fail, containers are killed; and starts again without its memory", async () => {
    const id = await run(engine, ["sleep", "60"]);
    const logs = collect(engine.containers.logs(id, { follow: true }));
    const hanging = engine.containers.stop(await run(engine, ["sh", "-c", "trap '' TERM; sleep 60"]), {
      graceSeconds: 60,
    });
    await turns();
    await engine.stop();
    await assert.rejects(logs, (error) => isKind(error, "unavailable"));
    await assert.rejects(hanging, (error) => isKind(error, "unavailable"));
    await assert.rejects(engine.system.ping(), (error) => isKind(error, "unavailable"));
    await engine.stop();
    await engine.start();
    await engine.start();
    await engine.system.ping();
    const { state } = await engine.containers.inspect(id);
    assert.deepEqual([state.status, state.exitCode, state.pid], ["exited", 137, undefined]);
    const replay = engine.events.subscribe({ sinceNanos: 0n });
    await replay.ready;
    await create(engine, ["true"]);
    for await (const event of replay) {
      assert.equal(event.action, "create", "what was before is forgotten");
      break;
    }
    await engine.containers.start(id);
  });

  it("lets containers live on with live restore", async () => {
    engine.settings.liveRestore = true;
    const id = await run(engine, ["sleep", "60"]);
    const execId = await engine.execs.create(id, execSpec);
    const { pid } = (await engine.containers.inspect(id)).state;
    const stopping = engine.containers.stop(id, { graceSeconds: 60 });
    stopping.catch(() => undefined);
    await engine.stop();
    await engine.start();
    assert.equal((await engine.containers.inspect(id)).state.pid, pid);
    await assert.rejects(engine.execs.inspect(execId), (error) => isKind(error, "not-found"));
  });

  it("serves several clients; closing one ends only its own calls", async () => {
    const client = engine.connect();
    const id = await run(client, ["sleep", "60"]);
    const mine = collect(client.containers.logs(id, { follow: true }));
    const theirs = collect(engine.containers.logs(id, { follow: true }));
    await turns();
    await client.close();
    await assert.rejects(mine, (error) => isKind(error, "unavailable"));
    await assert.rejects(client.system.ping(), (error) => isKind(error, "unavailable"));
    await engine.containers.kill(id);
    assert.deepEqual(await theirs, []);
  });

  it("treats a first process as the kernel does when there is no init", async () => {
    engine.settings.init = false;
    const id = await run(engine, ["sleep", "60"]);
    await engine.containers.kill(id, { killSignal: "SIGTERM" });
    assert.equal((await engine.containers.inspect(id)).state.running, true);
    await engine.containers.stop(id, { graceSeconds: 0 });
    assert.equal((await engine.containers.inspect(id)).state.exitCode, 137);
  });

  it("ends a pause image with 0, and other programs with 143, on SIGTERM", async () => {
    engine.load("registry.k8s.io/pause:3.10");
    const { id: sandbox } = await engine.containers.create({
      name: "sandbox",
      config: { image: "registry.k8s.io/pause:3.10" },
      host: {},
    });
    await engine.containers.start(sandbox);
    await engine.containers.stop(sandbox, { graceSeconds: 10 });
    assert.equal((await engine.containers.inspect(sandbox)).state.exitCode, 0);
    const id = await run(engine, ["sleep", "infinity"]);
    await engine.containers.stop(id, { graceSeconds: 10 });
    assert.equal((await engine.containers.inspect(id)).state.exitCode, 143);
  });

  it("is as slow as configured, with its calls visible", async () => {
    engine.settings.timing = { createMs: 0, startMs: 300, removeMs: 300 };
    const id = await create(engine, ["sleep", "60"]);
    const starting = engine.containers.start(id);
    await turns();
    assert.equal((await engine.containers.inspect(id)).state.status, "created");
    await engine.containers.start(id);
    await starting;
    await assert.rejects(engine.containers.start(id), (error) => isKind(error, "failed-precondition"));
    const removing = engine.containers.remove(id, { force: true });
    await turns();
    assert.equal((await engine.containers.inspect(id)).state.status, "removing");
    await assert.rejects(engine.containers.remove(id), (error) => isKind(error, "conflict"));
    await assert.rejects(engine.containers.start(id), (error) => isKind(error, "conflict"));
    await removing;
    await assert.rejects(engine.containers.inspect(id), (error) => isKind(error, "not-found"));
  });

  it("leaves nothing behind: no timer, no stream, no process, no file of a container", async () => {
    const before = activeTimers();
    const id = await run(engine, ["sleep", "infinity"], { host: { networkMode: "none" } });
    const bridged = await run(engine, ["sleep", "60"]);
    const execId = await engine.execs.create(id, execSpec);
    const stream = await engine.execs.start(execId, { tty: false });
    const subscription = engine.events.subscribe({});
    await subscription.ready;
    engine.faults.on("system.ping", { hang: true });
    const hanging = engine.system.ping();
    hanging.catch(() => undefined);
    engine.faults.events.delay(10_000);
    assert.equal((await engine.containers.inspect(bridged)).networks[0]?.ipv4, "172.17.0.2");
    await engine.containers.remove(bridged, { force: true });
    assert.deepEqual(await engine.host.files.list("/var/lib/docker/containers"), [id]);
    await engine.close();
    await engine.close();
    await assert.rejects(collect(stream.output), (error) => isKind(error, "unavailable"));
    await assert.rejects(hanging, (error) => isKind(error, "unavailable"));
    assert.equal(engine.calls.openStreams(), 0);
    assert.equal(engine.calls.inFlight, 0);
    assert.equal(engine.host.processTable.size, 0);
    await turns();
    assert.equal(activeTimers(), before);
  });

  it("can be left by a hundred callers at once", async () => {
    const id = await run(engine, ["sleep", "60"]);
    const abort = new AbortController();
    engine.faults.on("containers.inspect", { hang: true });
    const waiting = Array.from({ length: 100 }, () =>
      engine.containers.inspect(id, { signal: abort.signal }),
    );
    const followers = Array.from({ length: 100 }, () =>
      collect(engine.containers.logs(id, { follow: true, signal: abort.signal })),
    );
    await turns();
    abort.abort();
    const results = await Promise.allSettled([...waiting, ...followers]);
    assert.ok(results.every((result) => result.status === "rejected" && isKind(result.reason, "cancelled")));
    assert.equal(engine.calls.openStreams("containers.logs"), 0);
    assert.equal(engine.calls.inFlight, 0);
  });

  it("has the images of its birth in every registry too", async () => {
    await engine.images.remove(image);
    await assert.rejects(engine.images.inspect(image), (error) => isKind(error, "not-found"));
    await collect(engine.images.pull({ reference: image }));
    assert.deepEqual((await engine.images.inspect(image)).repoTags, [image]);
  });
});

async function recordActions(engine: MemoryDocker): Promise<string[]> {
  const actions: string[] = [];
  const subscription = engine.events.subscribe({});
  await subscription.ready;
  void (async () => {
    for await (const { action } of subscription) actions.push(action);
  })().catch((error: unknown) => {
    assert.ok(isKind(error, "unavailable"), String(error));
  });
  return actions;
}

function activeTimers(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
}
