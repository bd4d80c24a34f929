import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { createClients } from "docker-cri/client";
import { createTestShim } from "docker-cri/testing";
import { removeExited } from "./cleaner.js";

const image = { image: "busybox:1.36" };
const pod = { metadata: { name: "web", namespace: "default", uid: "1", attempt: 0 }, linux: {} };

describe("removeExited", () => {
  let test;
  let clients;
  let podSandboxId;

  beforeEach(async () => {
    test = await createTestShim({ images: [image.image] });
    clients = createClients(test.shim.inProcessTransport());
    ({ podSandboxId } = await clients.runtime.runPodSandbox({ config: pod }));
  });
  afterEach(() => test.shim.close());

  /** Starts a container in the pod. */
  async function run(name) {
    const config = { metadata: { name, attempt: 0 }, image, command: ["sleep", "600"] };
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
    await clients.runtime.stopContainer({ containerId: done, timeout: 0n });

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

  it("gives up in the end, with the runtime's own words", async () => {
    const done = await run("done");
    await clients.runtime.stopContainer({ containerId: done, timeout: 0n });
    test.engine.faults.on("containers.remove", { error: "unavailable", message: "the disk is on fire" });

    await assert.rejects(removeExited(clients), /the disk is on fire/);
  });
});
