import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { ContainerState, createClients } from "docker-cri/client";
import { createTestShim } from "docker-cri/testing";
import { removeExited } from "./cleaner.js";

const image = { image: "app:1" };
const pod = { metadata: { name: "web", namespace: "default", uid: "1", attempt: 0 }, linux: {} };

/** A container's program is a function. This one ends when it is asked to, and says that it has. */
async function server(process) {
  process.onSignal("SIGTERM", async () => {
    await process.stdout.write("closing\n");
    process.exit(0);
  });
  await process.sleep(Infinity);
}

/** This one copies its input, or exits with the code in its arguments. */
async function job(process) {
  for await (const chunk of process.stdin) await process.stdout.write(chunk);
  return Number(process.args[1] ?? process.env.EXIT_CODE ?? 0);
}

const programs = { "/bin/server": server, "/bin/job": job };

describe("removeExited", () => {
  let test;
  let clients;
  let podSandboxId;

  beforeEach(async () => {
    test = await createTestShim({ images: [{ name: image.image, programs }] });
    clients = createClients(test.shim.inProcessTransport());
    ({ podSandboxId } = await clients.runtime.runPodSandbox({ config: pod }));
  });
  afterEach(() => test.shim.close());

  /** Starts a container in the pod. */
  async function run(name, command = ["server"]) {
    const config = { metadata: { name, attempt: 0 }, image, command };
    const { containerId } = await clients.runtime.createContainer({
      podSandboxId,
      config,
      sandboxConfig: pod,
    });
    await clients.runtime.startContainer({ containerId });
    return containerId;
  }

  it("removes what has ended, and leaves what runs", async () => {
    const done = await run("done");
    const busy = await run("busy");
    await clients.runtime.stopContainer({ containerId: done, timeout: 5n });
    const { status } = await clients.runtime.containerStatus({ containerId: done });
    assert.equal(status.exitCode, 0, "the server took its SIGTERM");

    assert.deepEqual(await removeExited(clients), ["done"]);

    const { containers } = await clients.runtime.listContainers({});
    assert.deepEqual(
      containers.map(({ id }) => id),
      [busy],
    );
  });

  it("tries again when Docker cannot be reached", async () => {
    const done = await run("done");
    await clients.runtime.stopContainer({ containerId: done, timeout: 0n });
    test.engine.faults.on("containers.remove", { error: "unavailable", times: 2 });

    assert.deepEqual(await removeExited(clients), ["done"]);
    assert.deepEqual((await clients.runtime.listContainers({})).containers, []);
  });

  it("removes jobs that failed, too", async () => {
    await run("failed", ["sh", "-c", "job 3 && echo not reached"]);
    const left = async () => (await clients.runtime.listContainers({})).containers;
    while ((await left()).some(({ state }) => state === ContainerState.CONTAINER_RUNNING))
      await setTimeout(5);

    assert.deepEqual(await removeExited(clients), ["failed"]);
  });

  it("gives up in the end, with the runtime's own words", async () => {
    const done = await run("done");
    await clients.runtime.stopContainer({ containerId: done, timeout: 0n });
    test.engine.faults.on("containers.remove", { error: "unavailable", message: "the disk is on fire" });

    await assert.rejects(removeExited(clients), /the disk is on fire/);
  });
});
