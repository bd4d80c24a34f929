import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { serveUnixSocket, type RunningServer } from "../../src/adapters/unix-socket/index.js";
import { createClients, type Clients } from "../../src/client/index.js";
import { createTestShim, type TestShim } from "../../src/testing/index.js";

const image = "busybox:1.36";
const unknown = "f".repeat(64);

describe("bad input over the Unix socket", () => {
  let test: TestShim;
  let server: RunningServer;
  let clients: Clients;
  let folder: string;
  let pod: string;
  let container: string;

  const podConfig = (name: string) => ({
    metadata: { name, namespace: "default", uid: `uid-${name}`, attempt: 0 },
  });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "docker-cri-bad-"));
    test = await createTestShim({ images: [image] });
    const path = join(folder, "cri.sock");
    server = await serveUnixSocket(test.shim, { path });
    clients = createClients({ endpoint: `unix://${path}` });
    const config = podConfig("good");
    pod = (await clients.runtime.runPodSandbox({ config })).podSandboxId;
    container = (
      await clients.runtime.createContainer({
        podSandboxId: pod,
        sandboxConfig: config,
        config: { metadata: { name: "main" }, image: { image }, command: ["sleep", "infinity"] },
      })
    ).containerId;
  });

  after(async () => {
    clients.close();
    await server.close();
    await test[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const createWith = (config: object, podSandboxId = pod) =>
    clients.runtime.createContainer({ podSandboxId, sandboxConfig: podConfig("good"), config });

  const cases: readonly [string, () => Promise<unknown>, Code, RegExp][] = [
    ["a pod without a config", () => clients.runtime.runPodSandbox({}), Code.InvalidArgument, /config/],
    [
      "a pod without metadata",
      () => clients.runtime.runPodSandbox({ config: {} }),
      Code.InvalidArgument,
      /metadata/,
    ],
    [
      "a pod without a name",
      () => clients.runtime.runPodSandbox({ config: { metadata: { namespace: "default", uid: "u" } } }),
      Code.InvalidArgument,
      /name/,
    ],
    [
      "a pod of an unknown runtime handler",
      () => clients.runtime.runPodSandbox({ config: podConfig("x"), runtimeHandler: "kata" }),
      Code.InvalidArgument,
      /kata.*runc/,
    ],
    [
      "a container without a config",
      () => clients.runtime.createContainer({ podSandboxId: pod }),
      Code.InvalidArgument,
      /config/,
    ],
    [
      "a container without metadata",
      () => createWith({ image: { image } }),
      Code.InvalidArgument,
      /metadata/,
    ],
    [
      "a container in an unknown pod",
      () => createWith({ metadata: { name: "x" }, image: { image } }, unknown),
      Code.NotFound,
      /no sandbox with ID/,
    ],
    [
      "a container of an unknown image",
      () => createWith({ metadata: { name: "x" }, image: { image: "nobody/nothing:1" } }),
      Code.NotFound,
      /nobody\/nothing/,
    ],
    [
      "the status of an unknown pod",
      () => clients.runtime.podSandboxStatus({ podSandboxId: unknown }),
      Code.NotFound,
      /no sandbox/,
    ],
    [
      "the status of an unknown container",
      () => clients.runtime.containerStatus({ containerId: unknown }),
      Code.NotFound,
      /no container/,
    ],
    [
      "the status of a container by a pod's id",
      () => clients.runtime.containerStatus({ containerId: pod }),
      Code.NotFound,
      /it is a sandbox/,
    ],
    [
      "the status of a pod by a container's id",
      () => clients.runtime.podSandboxStatus({ podSandboxId: container }),
      Code.NotFound,
      /it is a container/,
    ],
    [
      "stopping a pod by a container's id",
      () => clients.runtime.stopPodSandbox({ podSandboxId: container }),
      Code.NotFound,
      /it is a container/,
    ],
    [
      "an empty container id",
      () => clients.runtime.containerStatus({}),
      Code.InvalidArgument,
      /container ID is empty/,
    ],
    [
      "starting an unknown container",
      () => clients.runtime.startContainer({ containerId: unknown }),
      Code.NotFound,
      /no container/,
    ],
    [
      "exec in a container that does not run",
      () => clients.runtime.execSync({ containerId: container, cmd: ["true"] }),
      Code.FailedPrecondition,
      /not running/,
    ],
    [
      "exec without a command",
      () => clients.runtime.execSync({ containerId: container }),
      Code.InvalidArgument,
      /cmd is empty/,
    ],
    ["a pull without a name", () => clients.images.pullImage({}), Code.InvalidArgument, /missing/],
    [
      "a pull of a malformed name",
      () => clients.images.pullImage({ image: { image: "UPPER//case::" } }),
      Code.InvalidArgument,
      /UPPER/,
    ],
    [
      "a pull of an image that is nowhere",
      () => clients.images.pullImage({ image: { image: "nobody/nothing:1" } }),
      Code.NotFound,
      /nobody\/nothing/,
    ],
  ];
  for (const [what, call, code, message] of cases) {
    it(`answers ${what} with ${Code[code]}`, async () => {
      await assert.rejects(call, (error) => {
        const connectError = ConnectError.from(error);
        assert.equal(Code[connectError.code], Code[code], connectError.message);
        assert.match(connectError.message, message);
        return true;
      });
    });
  }

  it("answers an unknown image's status with nothing, and no error", async () => {
    assert.equal(
      (await clients.images.imageStatus({ image: { image: "nobody/nothing:1" } })).image,
      undefined,
    );
    assert.equal((await clients.images.imageStatus({ image: { image: "UPPER//case::" } })).image, undefined);
  });

  it("succeeds to stop and remove missing containers and pods", async () => {
    await clients.runtime.stopContainer({ containerId: unknown });
    await clients.runtime.removeContainer({ containerId: unknown });
    await clients.runtime.stopPodSandbox({ podSandboxId: unknown });
    await clients.runtime.removePodSandbox({ podSandboxId: unknown });
    await clients.images.removeImage({ image: { image: "nobody/nothing:1" } });
  });

  it("refuses a message of 17 MiB and lives", async () => {
    const annotations = { big: "x".repeat(17 * 1024 * 1024) };
    await assert.rejects(
      clients.runtime.runPodSandbox({ config: { ...podConfig("big"), annotations } }),
      (error) => ConnectError.from(error).code === Code.ResourceExhausted,
    );
    assert.equal((await clients.runtime.listPodSandbox({})).items.length, 1);
  });

  it("answers UNAVAILABLE while Docker is stopped, shows the last known state, and keeps running", async () => {
    await test.engine.stop();
    await assert.rejects(clients.runtime.runPodSandbox({ config: podConfig("late") }), (error) => {
      assert.equal(Code[ConnectError.from(error).code], "Unavailable");
      return true;
    });
    assert.equal((await clients.runtime.listPodSandbox({})).items.length, 1);
    const ready = async () =>
      (await clients.runtime.status({})).status?.conditions.find(({ type }) => type === "RuntimeReady");
    for (let tries = 0; tries < 500 && (await ready())?.status; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.deepEqual((await ready())?.reason, "DockerDaemonNotReady");
    await test.engine.start();
    for (let tries = 0; tries < 500 && !(await ready())?.status; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal((await ready())?.status, true);
  });
});
