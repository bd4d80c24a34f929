import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code, ConnectError, createConnectRouter } from "@connectrpc/connect";
import { pino } from "pino";
import { isKind } from "../../../src/base/index.js";
import { createClients, type Clients } from "../../../src/client/index.js";
import { createShim } from "../../../src/composition/index.js";
import { Containers } from "../../../src/containers/index.js";
import { ImageService, RuntimeService } from "../../../src/gen/runtime/v1/api_pb.js";
import { PullImageHandler, VersionHandler, type CallContext } from "../../../src/handlers/index.js";
import { Images } from "../../../src/images/index.js";
import { Inventory } from "../../../src/inventory/index.js";
import { Network } from "../../../src/network/index.js";
import { Runtime } from "../../../src/runtime/index.js";
import { createMemoryDocker, createTestShim } from "../../../src/testing/index.js";
import { LeasingNetwork } from "../sandbox/leasing-network.js";

type Request<H extends { handle(request: never, context: CallContext): unknown }> = Parameters<
  H["handle"]
>[0];

const log = pino({ level: "silent" });
const image = { image: "busybox:1.36" };

/** Calls every RPC with an empty request; gives the code of each, "OK" where there was none. */
async function codesOf({ runtime, images }: Clients): Promise<Map<string, string>> {
  const codes = new Map<string, string>();
  const clients = [
    [RuntimeService, runtime],
    [ImageService, images],
  ] as const;
  for (const [service, client] of clients) {
    for (const method of service.methods) {
      const call = (client as unknown as Record<string, (request: object, options: object) => unknown>)[
        method.localName
      ];
      assert.ok(call, method.name);
      const ended = AbortSignal.timeout(200);
      const answer = call({}, method.name === "GetContainerEvents" ? { signal: ended } : {});
      codes.set(method.name, await codeOf(answer));
    }
  }
  return codes;
}

async function codeOf(answer: unknown): Promise<string> {
  try {
    if (typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer) {
      for await (const _ of answer as AsyncIterable<unknown>);
    } else await answer;
    return "OK";
  } catch (error) {
    return Code[ConnectError.from(error).code];
  }
}

describe("createShim", () => {
  it("implements every RPC", async () => {
    await using test = await createTestShim();
    using clients = createClients(test.shim.inProcessTransport());
    const codes = await codesOf(clients);
    assert.equal(codes.size, 43);
    // An empty request is the caller's fault, never a bug of ours.
    assert.deepEqual(
      [...codes].filter(([, code]) => ["Unimplemented", "Internal", "Unknown"].includes(code)),
      [],
    );
  });

  it("answers Version as soon as Docker has, and lets other calls wait for its state", async () => {
    await using test = await createTestShim();
    const { engine } = test;
    const config = { metadata: { name: "a", namespace: "default", uid: "1" }, linux: {} };
    await createClients(test.shim.inProcessTransport()).runtime.runPodSandbox({ config });
    engine.faults.on("containers.list", { delayMs: 1_000 });
    await using shim = await createShim({ engine: engine.connect(), host: engine.host, log });
    const { runtime } = createClients(shim.inProcessTransport());
    const listed = runtime.listPodSandbox({});
    assert.equal((await runtime.version({})).runtimeName, "docker");
    assert.equal(shim.resolve(Inventory).isReady, false);
    assert.equal((await listed).items.length, 1);
    assert.equal((await runtime.listPodSandbox({})).items.length, 1);
  });

  it("refuses calls at once when Docker's state cannot be read", async () => {
    await using test = await createTestShim();
    const { engine } = test;
    engine.faults.on("containers.list", { error: "internal", message: "the database is locked" });
    await using shim = await createShim({ engine: engine.connect(), host: engine.host, log });
    const { runtime } = createClients(shim.inProcessTransport());
    await runtime.version({});
    await assert.rejects(runtime.listPodSandbox({}), (error) => {
      const { code, rawMessage } = ConnectError.from(error);
      return code === Code.Unavailable && rawMessage.includes("the database is locked");
    });
  });

  it("makes shims that know nothing of each other", async () => {
    await using one = await createTestShim({ images: [image.image] });
    await using two = await createTestShim();
    using first = createClients(one.shim.inProcessTransport());
    using second = createClients(two.shim.inProcessTransport());
    const config = { metadata: { name: "a", namespace: "default", uid: "1" }, linux: {} };
    await first.runtime.runPodSandbox({ config });
    assert.equal((await first.runtime.listPodSandbox({})).items.length, 1);
    assert.equal((await second.runtime.listPodSandbox({})).items.length, 0);
    assert.notEqual(one.shim.resolve(Images), two.shim.resolve(Images));
    assert.equal(one.shim.resolve(Images), one.shim.resolve(Images));
    await one.shim.close();
    assert.equal((await second.runtime.version({})).runtimeName, "docker");
  });

  it("makes a handler at its first call, and once", async () => {
    let made = 0;
    class CountedVersion extends VersionHandler {
      constructor(runtime: Runtime) {
        super(runtime);
        made++;
      }
    }
    await using test = await createTestShim({
      override: (container) => {
        container.register(VersionHandler, {
          useFactory: (from) => new CountedVersion(from.resolve(Runtime)),
        });
      },
    });
    using clients = createClients(test.shim.inProcessTransport());
    await clients.runtime.status({});
    assert.equal(made, 0);
    await clients.runtime.version({});
    await clients.runtime.version({});
    assert.equal(made, 1);
  });

  it("lets a handler be replaced by its token, as the library guide shows", async () => {
    class MirrorPull extends PullImageHandler {
      override async handle(request: Request<PullImageHandler>, context: CallContext) {
        return super.handle(
          { ...request, image: { ...request.image!, image: "mirror.example/busybox:1.36" } },
          context,
        );
      }
    }
    await using test = await createTestShim({
      override: (container) => {
        container.register(PullImageHandler, { useFactory: (from) => new MirrorPull(from.resolve(Images)) });
      },
    });
    test.engine.registry.add("mirror.example/busybox:1.36");
    using clients = createClients(test.shim.inProcessTransport());
    await clients.images.pullImage({ image });
    const tags = (await clients.images.listImages({})).images.flatMap(({ repoTags }) => repoTags);
    assert.ok(tags.includes("mirror.example/busybox:1.36"), String(tags));
    assert.ok(!tags.includes(image.image), String(tags));
  });

  it("replaces a module by its token for every handler that uses it", async () => {
    await using test = await createTestShim({
      override: (container) => {
        container.register(Runtime, {
          useValue: { isKnown: true, version: () => ({ runtimeName: "mine" }) } as unknown as Runtime,
        });
      },
    });
    using clients = createClients(test.shim.inProcessTransport());
    assert.equal((await clients.runtime.version({})).runtimeName, "mine");
  });

  it("makes a class that extends a module with the module's own arguments, and once for all its users", async () => {
    const made: Containers[] = [];
    class WatchedContainers extends Containers {
      constructor(...args: ConstructorParameters<typeof Containers>) {
        super(...args);
        made.push(this);
      }
    }
    const run = async () => {
      await using test = await createTestShim({
        override: (parts) => {
          parts.register(Containers, { useClass: WatchedContainers });
        },
      });
      using clients = createClients(test.shim.inProcessTransport());
      await clients.runtime.listContainers({});
      await assert.rejects(clients.runtime.containerStatus({ containerId: "none" }), /no container with ID/);
      assert.equal(test.shim.resolve(Containers), made.at(-1));
    };
    await run();
    await run();
    assert.equal(made.length, 2, "one for each shim");
  });

  it("calls a module's factory once, and names a factory that asks for its own module", async () => {
    let calls = 0;
    await using test = await createTestShim({
      override: (parts) => {
        parts.register<Network>(Network, {
          useFactory: () => {
            calls++;
            return new LeasingNetwork();
          },
        });
      },
    });
    await test.shim.start();
    assert.equal(test.shim.resolve(Network), test.shim.resolve(Network));
    assert.equal(calls, 1);
    const asksItself = createTestShim({
      override: (parts) => {
        parts.register<Network>(Network, { useFactory: (from) => from.resolve<Network>(Network) });
      },
    });
    await assert.rejects(asksItself, /the part Network cannot be made from itself/);
  });

  it("takes a DockerService of one's own, and closes once", async () => {
    const engine = createMemoryDocker({ images: ["registry.k8s.io/pause:3.10"] });
    const shim = await createShim({ engine, host: engine.host, network: { plugin: "none" }, log });
    assert.equal(shim.config.engine.kind, "custom");
    await shim.start();
    await Promise.all([shim.close(), shim.close()]);
    await shim.close();
    using clients = createClients(shim.inProcessTransport());
    await assert.rejects(clients.runtime.listContainers({}));
  });

  it("says that it is closed to every call after its close", async () => {
    const { shim } = await createTestShim();
    using clients = createClients(shim.inProcessTransport());
    await clients.runtime.version({});
    await shim.close();
    const closed = { code: Code.Unavailable, rawMessage: "the shim is closed" };
    await assert.rejects(clients.runtime.version({}), closed);
    await assert.rejects(clients.runtime.listContainers({}), closed);
    await assert.rejects(async () => {
      for await (const event of clients.runtime.getContainerEvents({})) assert.fail(event.containerId);
    }, closed);
    const calls = [
      () => shim.exec("any", ["true"]),
      () => shim.attach("any"),
      () => shim.portForward("any", 80),
    ];
    for (const call of calls)
      await assert.rejects(call, { kind: "unavailable", message: "the shim is closed" });
  });

  it("reports in time that Docker is not reachable", async () => {
    await using shim = await createShim({
      engine: { kind: "docker", endpoint: "unix:///nowhere/docker.sock" },
      network: { plugin: "none" },
      log,
    });
    await assert.rejects(shim.start({ deadlineMs: 200 }), (error) => {
      assert.ok(isKind(error, "deadline-exceeded"), String(error));
      assert.match(error.message, /200 ms: .*nowhere\/docker\.sock.*start Docker/);
      return true;
    });
    const gone = new AbortController();
    const started = shim.start({ signal: gone.signal });
    gone.abort();
    await assert.rejects(started, { kind: "cancelled" });
    const late = assert.rejects(shim.start(), { kind: "unavailable" });
    await shim.close();
    await late;
  });

  it("adds one service to a router of one's own", async () => {
    await using test = await createTestShim();
    const router = createConnectRouter();
    test.shim.mount(router, { services: ["ImageService"] });
    const paths = router.handlers.map(({ requestPath }) => requestPath);
    assert.equal(paths.length, 6);
    assert.ok(paths.every((path) => path.startsWith("/runtime.v1.ImageService/")));
  });

  it("names each invalid option", async () => {
    const wrong = { engine: { kind: "docker", endpoint: "nowhere" }, sandboxImage: "", colour: "red" };
    await assert.rejects(createShim(wrong as never), (error: Error) => {
      for (const key of ["engine.endpoint", "sandboxImage", "colour"])
        assert.ok(error.message.includes(key), error.message);
      return true;
    });
    await assert.rejects(createShim({ engine: { kind: "custom" }, log }), /pass a DockerService/);
  });
});
