import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { pino } from "pino";
import { serveTcp } from "../../../src/adapters/tcp/index.js";
import { serveUnixSocket } from "../../../src/adapters/unix-socket/index.js";
import { isKind, sleep } from "../../../src/base/index.js";
import { createClients } from "../../../src/client/index.js";
import { ImageService, RuntimeService } from "../../../src/gen/runtime/v1/api_pb.js";
import type { CallContext } from "../../../src/handlers/index.js";
import type { RpcTarget } from "../../../src/rpc/serving.js";

function targetOf(handlers: Record<string, (request: never, context: CallContext) => unknown>): RpcTarget {
  return {
    log: pino({ level: "silent" }),
    handlerFor: (method) => ({ handle: handlers[method.name] }) as never,
  };
}

async function codeOf(work: Promise<unknown>): Promise<Code> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ConnectError, String(error));
  return error.code;
}

const named = (name: string) =>
  targetOf({ Version: () => ({ runtimeName: name }), ListImages: () => ({ images: [{ id: name }] }) });

describe("createClients", () => {
  let folder: string;
  const endpoint = (name: string) => `unix://${join(folder, name)}`;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "docker-cri-client-"));
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("calls both services of one endpoint, or each its own", async () => {
    await using _runtime = await serveUnixSocket(named("r"), { endpoint: endpoint("r") });
    await using _images = await serveUnixSocket(named("i"), { endpoint: endpoint("i") });
    using one = createClients({ endpoint: endpoint("r") });
    assert.equal((await one.images.listImages({})).images[0]?.id, "r");
    using two = createClients({ endpoint: endpoint("r"), imageEndpoint: endpoint("i") });
    assert.equal((await two.runtime.version({})).runtimeName, "r");
    assert.equal((await two.images.listImages({})).images[0]?.id, "i");
  });

  it("refuses endpoints of another form", () => {
    for (const wrong of [
      "/run/cri.sock",
      "unix:run",
      "http://localhost:1",
      "tcp://localhost",
      "tcp://h:70000",
      "",
    ]) {
      assert.throws(
        () => createClients({ endpoint: wrong }),
        (error) => isKind(error, "invalid-argument"),
        wrong,
      );
    }
  });

  it("reconnects when the server has restarted, and reports a missing server", async () => {
    using clients = createClients({ endpoint: endpoint("s") });
    assert.equal(await codeOf(clients.runtime.version({})), Code.Unavailable);
    for (const name of ["first", "second", "third"]) {
      await using _server = await serveUnixSocket(named(name), { endpoint: endpoint("s") });
      assert.equal((await clients.runtime.version({})).runtimeName, name);
    }
    assert.equal(await codeOf(clients.runtime.version({})), Code.Unavailable);
  });

  it("reconnects when the server died during a call", async () => {
    let begun = 0;
    const target = targetOf({
      Version: (_: never, { signal }: CallContext) => {
        begun++;
        return sleep(60_000, signal);
      },
    });
    const server = await serveTcp(target, { port: 0 });
    using clients = createClients({ endpoint: server.address });
    const lost = codeOf(clients.runtime.version({}));
    while (begun < 1) await delay(5);
    await server.close({ graceMs: 0 });
    assert.equal(await lost, Code.Unavailable);
    await using _again = await serveTcp(named("again"), { port: server.port });
    assert.equal((await clients.runtime.version({})).runtimeName, "again");
  });

  it("gives unary calls a deadline and streams none", async () => {
    const target = targetOf({
      Version: (_: never, { timeoutMs }: CallContext) => ({ version: String(timeoutMs()) }),
      StopContainer: (_: never, { signal }: CallContext) => sleep(60_000, signal),
      GetContainerEvents: async function* (_: never, { timeoutMs }: CallContext) {
        await delay(400);
        yield { containerId: String(timeoutMs()) };
      },
    });
    await using server = await serveTcp(target, { port: 0 });
    using usual = createClients({ endpoint: server.address });
    const remaining = Number((await usual.runtime.version({})).version);
    assert.ok(remaining > 110_000 && remaining <= 120_000, String(remaining));
    using hurried = createClients({ endpoint: server.address, requestTimeoutMs: 200 });
    assert.equal(await codeOf(hurried.runtime.stopContainer({})), Code.DeadlineExceeded);
    const own = await hurried.runtime.version({}, { timeoutMs: 5_000 });
    assert.ok(Number(own.version) > 1_000);
    for await (const event of hurried.runtime.getContainerEvents({}))
      assert.equal(event.containerId, "undefined");
  });

  it("ends calls under way when it is closed, and connects again when it is used again", async () => {
    let begun = 0;
    let aborted = 0;
    const target = targetOf({
      Version: () => ({ version: "v" }),
      StopContainer: async (_: never, { signal }: CallContext) => {
        begun++;
        await sleep(60_000, signal).catch(() => aborted++);
        return {};
      },
    });
    await using server = await serveTcp(target, { port: 0 });
    const clients = createClients({ endpoint: server.address });
    const calls = [codeOf(clients.runtime.stopContainer({})), codeOf(clients.runtime.stopContainer({}))];
    while (begun < 2) await delay(5);
    clients.close();
    assert.deepEqual(await Promise.all(calls), [Code.Canceled, Code.Canceled]);
    while (aborted < 2) await delay(5);
    assert.equal((await clients.runtime.version({})).version, "v");
    clients.close();
  });

  it("can be closed in reaction to a failed call", async () => {
    await using server = await serveTcp(targetOf({ Version: () => ({}) }), { port: 0 });
    for (let round = 0; round < 5; round++) {
      const clients = createClients({ endpoint: server.address });
      await clients.runtime.version({});
      const large = { version: "x".repeat(17 * 1024 * 1024) };
      const ended = clients.runtime.version(large).finally(() => {
        clients.close();
      });
      const others = Array.from({ length: 5 }, () => clients.runtime.version(large).catch(() => undefined));
      assert.ok([Code.ResourceExhausted, Code.Canceled].includes(await codeOf(ended)));
      await Promise.all(others);
    }
  });

  it("times out on a server that never answers", async () => {
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(join(folder, "silent"), resolve));
    using clients = createClients({ endpoint: endpoint("silent"), requestTimeoutMs: 200 });
    assert.equal(await codeOf(clients.runtime.version({})), Code.DeadlineExceeded);
    silent.close();
  });

  it("takes a transport that there is already", async () => {
    const transport = createRouterTransport((router) => {
      router.rpc(RuntimeService.method.version, () => ({ version: "t" }));
      router.rpc(ImageService.method.listImages, () => ({ images: [{ id: "t" }] }));
    });
    using clients = createClients(transport);
    assert.equal((await clients.runtime.version({})).version, "t");
    assert.equal((await clients.images.listImages({})).images[0]?.id, "t");
  });
});
