import assert from "node:assert/strict";
import { it } from "node:test";
import { isKind } from "../../../src/base/index.js";
import { rejectsWith, until, type Scene } from "./scene.js";

/** Starting, stopping, killing and removing containers. */
export function testLifecycle(scene: () => Scene): void {
  it("starts a container, which then has a pid and a time", async () => {
    const { containers } = scene().service;
    const id = await scene().sleeper();
    const { state, createdAtNanos } = await containers.inspect(id);
    assert.equal(state.status, "running");
    assert.equal(state.running, true);
    assert.ok((state.pid ?? 0) > 0);
    assert.ok(state.startedAtNanos !== undefined && createdAtNanos !== undefined);
    assert.ok(state.startedAtNanos > createdAtNanos);
    assert.equal(state.finishedAtNanos, undefined);
    await rejectsWith("failed-precondition", containers.start(id));
    await rejectsWith("conflict", containers.remove(id));
  });

  it("keeps the exit code and the times of a container that has ended", async () => {
    const { state, createdAtNanos = 0n } = await scene().runToEnd("exit 7");
    assert.equal(state.status, "exited");
    assert.equal(state.exitCode, 7);
    assert.equal(state.pid, undefined);
    assert.equal(state.oomKilled, false);
    // Not compared with each other: Docker 26 has seen a quick process end before it noted the start.
    assert.ok((state.finishedAtNanos ?? 0n) > createdAtNanos);
    assert.ok((state.startedAtNanos ?? 0n) > createdAtNanos);
  });

  it("starts an exited container again", async () => {
    const { containers } = scene().service;
    const first = await scene().runToEnd("exit 3");
    await containers.start(first.id);
    const second = await scene().ended(first.id);
    assert.equal(second.state.exitCode, 3);
    assert.ok((second.state.startedAtNanos ?? 0n) > (first.state.startedAtNanos ?? 0n));
  });

  it("refuses to start a missing command, and stays created", async () => {
    const { containers } = scene().service;
    const id = await scene().create(["/no/such/program"]);
    await rejectsWith("invalid-argument", containers.start(id));
    const { state } = await containers.inspect(id);
    assert.equal(state.running, false);
    assert.equal(state.status, "created");
    assert.equal(state.exitCode, 127);
    assert.ok((state.error ?? "").length > 0, "Docker says why");
    await containers.remove(id);
  });

  it("stops with the stop signal, and keeps the code that the program chose", async () => {
    const { containers } = scene().service;
    const id = await scene().run(["sh", "-c", "trap 'exit 5' TERM; echo ready; sleep 600 & wait"]);
    await until("the trap to be set", async () => ((await scene().logs(id)).length > 0 ? true : undefined));
    await containers.stop(id, { graceSeconds: 10 });
    const { state } = await containers.inspect(id);
    assert.deepEqual([state.running, state.exitCode], [false, 5]);
    await containers.stop(id, { graceSeconds: 10 });
  });

  it("uses the container's own stop signal", async () => {
    const { containers } = scene().service;
    const script = "trap 'exit 6' USR1; trap '' TERM; echo ready; sleep 600 & wait";
    const id = await scene().run(["sh", "-c", script], { config: { stopSignal: "SIGUSR1" } });
    await until("the trap to be set", async () => ((await scene().logs(id)).length > 0 ? true : undefined));
    await containers.stop(id, { graceSeconds: 10 });
    assert.equal((await containers.inspect(id)).state.exitCode, 6);
  });

  it("kills a process that outlives its grace period", async () => {
    const { containers } = scene().service;
    const id = await scene().run(["sh", "-c", "trap '' TERM; echo ready; sleep 600"]);
    await until("the trap to be set", async () => ((await scene().logs(id)).length > 0 ? true : undefined));
    const before = Date.now();
    await containers.stop(id, { graceSeconds: 1 });
    assert.ok(Date.now() - before >= 900, "it had its second");
    assert.equal((await containers.inspect(id)).state.exitCode, 137);
  });

  it("stops at once with a grace period of 0; a container that never ran is a success", async () => {
    const { containers } = scene().service;
    const id = await scene().run(["sh", "-c", "trap '' TERM; sleep 600"]);
    await containers.stop(id, { graceSeconds: 0 });
    assert.equal((await containers.inspect(id)).state.exitCode, 137);
    const created = await scene().create(["true"]);
    await containers.stop(created, { graceSeconds: 0 });
    assert.equal((await containers.inspect(created)).state.status, "created");
  });

  it("kills with SIGKILL, or with the signal asked for, by name or number", async () => {
    const { containers } = scene().service;
    const script = "trap 'exit 9' HUP; trap 'exit 10' USR1; echo ready; sleep 600 & wait";
    for (const [killSignal, exitCode] of [
      [undefined, 137],
      ["SIGHUP", 9],
      ["10", 10],
    ] as const) {
      const id = await scene().run(["sh", "-c", script]);
      await until("the trap to be set", async () => ((await scene().logs(id)).length > 0 ? true : undefined));
      await containers.kill(id, killSignal === undefined ? {} : { killSignal });
      assert.equal((await scene().ended(id)).state.exitCode, exitCode);
      await rejectsWith("failed-precondition", containers.kill(id));
    }
  });

  it("refuses an invalid signal", async () => {
    const id = await scene().sleeper();
    await rejectsWith("invalid-argument", scene().service.containers.kill(id, { killSignal: "SIGNONSENSE" }));
    assert.equal((await scene().service.containers.inspect(id)).state.running, true);
  });

  it("removes a stopped container, and a running one by force", async () => {
    const { containers } = scene().service;
    const { id: stopped } = await scene().runToEnd("true");
    await containers.remove(stopped);
    await rejectsWith("not-found", containers.inspect(stopped));
    await rejectsWith("not-found", containers.remove(stopped));
    const running = await scene().sleeper();
    await containers.remove(running, { force: true });
    await rejectsWith("not-found", containers.inspect(running));
  });

  it("lets a container join another's network only while that one runs", async () => {
    const { containers } = scene().service;
    const owner = await scene().sleeper({ host: { networkMode: "none" } });
    const networkMode = `container:${owner}`;
    const guest = await scene().sleeper({ host: { networkMode } });
    const { host, state, networks } = await containers.inspect(guest);
    assert.equal(host.networkMode, networkMode);
    assert.equal(state.running, true);
    assert.deepEqual(networks, []);
    const late = await scene().create(["true"], { host: { networkMode } });
    await containers.kill(owner);
    await scene().ended(owner);
    assert.equal((await containers.inspect(guest)).state.running, true, "the guest goes on");
    await rejectsWith("conflict", containers.start(late));
    assert.equal((await containers.inspect(late)).state.running, false);
  });

  it("keeps the id of the container whose network is joined, and shows its resolv.conf", async () => {
    const { containers } = scene().service;
    const owner = await scene().sleeper({ host: { networkMode: "none" } });
    const { name, resolvConfPath } = await containers.inspect(owner);
    assert.match(resolvConfPath ?? "", /^\//);
    const guest = await containers.inspect(
      await scene().sleeper({ host: { networkMode: `container:${name}` } }),
    );
    assert.equal(guest.host.networkMode, `container:${owner}`);
    assert.equal(guest.resolvConfPath, resolvConfPath);
    assert.equal(guest.networkNamespacePath, undefined);
  });

  it("starts a container once for concurrent calls", async () => {
    const { containers } = scene().service;
    const id = await scene().create(["sleep", "600"]);
    const results = await Promise.allSettled([1, 2, 3].map(() => containers.start(id)));
    // Docker says "running already" to who comes later, but counts who comes during the start as served.
    assert.ok(results.some(({ status }) => status === "fulfilled"));
    for (const result of results) {
      if (result.status === "rejected")
        assert.ok(isKind(result.reason, "failed-precondition"), String(result.reason));
    }
    assert.equal((await containers.inspect(id)).state.running, true);
  });

  it("sets the size of a terminal only while it is there", async () => {
    const { containers } = scene().service;
    const id = await scene().create(["sleep", "600"], { config: { tty: true } });
    await rejectsWith(["conflict", "failed-precondition"], containers.resize(id, { width: 100, height: 40 }));
    await containers.start(id);
    await containers.resize(id, { width: 100, height: 40 });
  });
}
