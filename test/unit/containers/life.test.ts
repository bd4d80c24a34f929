import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { ContainerState } from "../../../src/gen/runtime/v1/api_pb.js";
import { removeContainer, stopContainer } from "../../../src/containers/stop-and-remove.js";
import { isKind } from "../../../src/base/index.js";
import { fails, forever, openLab, until } from "./lab.js";

const deaf = ["sh", "-c", "trap '' TERM; sleep infinity & wait"];

describe("starting a container", () => {
  it("that has a bad command leaves it exited, with the same words in List and Status", async () => {
    await using lab = await openLab();
    const { runtime } = lab;
    const containerId = await lab.create(["no-such-program"]);
    await fails(runtime.startContainer({ containerId }), Code.InvalidArgument, /no-such-program.*not found/);
    const { status } = await runtime.containerStatus({ containerId });
    assert.equal(status?.state, ContainerState.CONTAINER_EXITED);
    assert.equal(status.reason, "ContainerCannotRun");
    assert.equal(status.exitCode, 127);
    assert.match(status.message, /no-such-program.*not found/);
    const { containers } = await runtime.listContainers({});
    assert.deepEqual(
      containers.map(({ id, state }) => ({ id, state })),
      [{ id: containerId, state: ContainerState.CONTAINER_EXITED }],
    );
    await fails(runtime.startContainer({ containerId }), Code.FailedPrecondition, /only a created one/);
    await runtime.stopContainer({ containerId, timeout: 1n });
    await runtime.removeContainer({ containerId });
    assert.equal(lab.engine.calls.openStreams("containers.logs"), 0);
  });

  it("that runs or has exited is refused", async () => {
    await using lab = await openLab();
    const containerId = await lab.run(forever);
    await fails(lab.runtime.startContainer({ containerId }), Code.FailedPrecondition, /is running/);
    await lab.runtime.stopContainer({ containerId, timeout: 5n });
    await fails(lab.runtime.startContainer({ containerId }), Code.FailedPrecondition, /is exited/);
    await fails(lab.runtime.startContainer({ containerId: "f00" }), Code.NotFound, /f00/);
  });

  it("whose answer is lost shows the true state, and a retry returns it", async () => {
    await using lab = await openLab();
    const containerId = await lab.create(forever);
    lab.engine.faults.on("containers.start", { error: "unavailable", after: true, times: 1 });
    await fails(lab.runtime.startContainer({ containerId }), Code.Unavailable, /./);
    const { status } = await lab.runtime.containerStatus({ containerId });
    assert.equal(status?.state, ContainerState.CONTAINER_RUNNING);
    await fails(lab.runtime.startContainer({ containerId }), Code.FailedPrecondition, /is running/);
  });
});

describe("stopping a container", () => {
  it("lets it end by itself, and shows its code at once", async () => {
    await using lab = await openLab();
    const containerId = await lab.run(forever);
    await lab.runtime.stopContainer({ containerId, timeout: 30n });
    const { status } = await lab.runtime.containerStatus({ containerId });
    assert.equal(status?.exitCode, 0);
    assert.equal(status.reason, "Completed");
    await lab.runtime.stopContainer({ containerId, timeout: 30n });
    assert.equal(lab.engine.calls.count("containers.stop"), 1);
  });

  it("kills it after the grace period, or at once without one", async () => {
    await using lab = await openLab();
    for (const timeout of [1n, 0n, -5n]) {
      const containerId = await lab.run(deaf);
      const before = performance.now();
      await lab.runtime.stopContainer({ containerId, timeout });
      const tookMs = performance.now() - before;
      assert.ok(timeout > 0n ? tookMs >= 950 : tookMs < 900, `${timeout} s: ${tookMs} ms`);
      assert.equal((await lab.runtime.containerStatus({ containerId })).status?.exitCode, 137);
    }
  });

  it("reports clearly that a process survives SIGKILL, and keeps no call open", async () => {
    await using lab = await openLab();
    const id = await lab.run(deaf);
    lab.engine.makeUnkillable(id);
    const { signal } = new AbortController();
    await assert.rejects(
      stopContainer(lab.engine, id, { graceSeconds: 0, signal, marginMs: 50 }),
      (error) => isKind(error, "deadline-exceeded") && /survives SIGKILL.*state D/s.test(error.message),
    );
    assert.equal(lab.engine.calls.inFlight, 0);
  });

  it("ends a hanging stop with its caller, and a retry starts afresh", async () => {
    await using lab = await openLab();
    const containerId = await lab.run(forever);
    lab.engine.faults.on("containers.stop", { hang: true, times: 1 });
    await fails(
      lab.runtime.stopContainer({ containerId, timeout: 2n }, { timeoutMs: 500 }),
      Code.DeadlineExceeded,
      /./,
    );
    await until(() => lab.engine.calls.inFlight === 0);
    await lab.runtime.stopContainer({ containerId, timeout: 2n });
    assert.equal(lab.engine.calls.count("containers.stop"), 2);
    const { status } = await lab.runtime.containerStatus({ containerId });
    assert.equal(status?.state, ContainerState.CONTAINER_EXITED);
  });

  it("succeeds when Docker fails because the container ended, and fails otherwise", async () => {
    await using lab = await openLab();
    const { engine } = lab;
    const id = await lab.run(forever);
    const { signal } = new AbortController();
    engine.faults.on("containers.stop", { error: "internal", times: 2 });
    await assert.rejects(stopContainer(engine, id, { graceSeconds: 1, signal }), /as the test asked/);
    engine.exit(id, 3);
    await stopContainer(engine, id, { graceSeconds: 1, signal });
    await engine.containers.remove(id);
    await stopContainer(engine, id, { graceSeconds: 1, signal });
  });
});

describe("removing a container", () => {
  it("ends a running container, and succeeds for a missing one", async () => {
    await using lab = await openLab();
    const containerId = await lab.run(deaf);
    await lab.runtime.removeContainer({ containerId });
    await lab.runtime.removeContainer({ containerId });
    assert.deepEqual((await lab.runtime.listContainers({})).containers, []);
    await lab.runtime.stopContainer({ containerId, timeout: 1n });
    await fails(lab.runtime.containerStatus({ containerId }), Code.NotFound, /./);
  });

  it("succeeds for concurrent stops and removes", async () => {
    await using lab = await openLab();
    lab.engine.settings.timing.removeMs = 20;
    const containerId = await lab.run(deaf);
    const stop = () => lab.runtime.stopContainer({ containerId, timeout: 1n });
    const remove = () => lab.runtime.removeContainer({ containerId });
    await Promise.all([stop(), stop(), remove(), remove(), remove()]);
    assert.deepEqual((await lab.runtime.listContainers({})).containers, []);
    await until(() => lab.engine.calls.inFlight <= 1);
  });

  it("waits for another program's removal, but not forever", async () => {
    await using lab = await openLab();
    const id = await lab.run(forever);
    lab.engine.faults.on("containers.remove", { error: "conflict", times: 3 });
    await removeContainer(lab.engine, id);
    assert.equal(lab.engine.calls.count("containers.remove"), 4);
    const other = await lab.run(forever);
    lab.engine.faults.on("containers.remove", { error: "conflict" });
    await assert.rejects(removeContainer(lab.engine, other, 60), (error) => isKind(error, "conflict"));
  });

  it("of a pod's sandbox by this call is refused", async () => {
    await using lab = await openLab();
    await assert.rejects(lab.runtime.removeContainer({ containerId: lab.pod }));
    const { items } = await lab.runtime.listPodSandbox({});
    assert.equal(items.length, 1);
  });
});
