import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ShimError, sleep, type ErrorKind } from "../../src/base/index.js";
import {
  ContainerEventResponseSchema,
  VersionResponseSchema,
  type ExecSyncRequest,
  type ListContainersRequest,
  type PullImageRequest,
  type VersionRequest,
} from "../../src/gen/runtime/v1/api_pb.js";
import type { CallContext } from "../../src/handlers/index.js";
import { failure } from "./support/failure.js";
import { adapters } from "./support/servers.js";
import { testTarget, type TestHandler } from "./support/target.js";
import { until } from "./support/until.js";

const mebibyte = 1024 * 1024;

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const codeOfKind: Record<ErrorKind, Code> = {
  "invalid-argument": Code.InvalidArgument,
  "not-found": Code.NotFound,
  "already-exists": Code.AlreadyExists,
  conflict: Code.Aborted,
  "failed-precondition": Code.FailedPrecondition,
  "permission-denied": Code.PermissionDenied,
  unauthenticated: Code.Unauthenticated,
  "resource-exhausted": Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  "registry-unavailable": Code.Unknown,
  unsupported: Code.Unimplemented,
  "deadline-exceeded": Code.DeadlineExceeded,
  cancelled: Code.Canceled,
  internal: Code.Internal,
};

for (const adapter of adapters) {
  describe(`calls over ${adapter.name}`, () => {
    const withHandlers = (handlers: Record<string, TestHandler>) => {
      const target = testTarget(handlers);
      return { target, served: adapter.serve(target) };
    };

    it("answers with a message and with an init shape, sync or async, and makes each handler once", async () => {
      const { target, served } = withHandlers({
        Version: (request: VersionRequest) => ({ version: request.version, runtimeName: "docker" }),
        Status: () => Promise.resolve({ status: { conditions: [{ type: "RuntimeReady", status: true }] } }),
        ListImages: () => ({ images: [{ id: "sha256:1", size: 5n }] }),
      });
      await using server = await served;
      const { runtime, images } = server.clients;
      for (let round = 0; round < 2; round++) {
        assert.equal((await runtime.version({ version: "v1" })).version, "v1");
      }
      assert.equal((await runtime.status({})).status?.conditions[0]?.type, "RuntimeReady");
      assert.equal((await images.listImages({})).images[0]?.size, 5n);
      assert.deepEqual([...target.made.values()], [1, 1, 1]);
    });

    it("carries requests and answers as copies", async () => {
      const answer = create(VersionResponseSchema, { version: "first" });
      const seen: VersionRequest[] = [];
      const { served } = withHandlers({
        Version: (request: VersionRequest) => {
          seen.push(request);
          request.version = "changed by the handler";
          return answer;
        },
      });
      await using server = await served;
      const request = { version: "mine" };
      const first = await server.clients.runtime.version(request);
      answer.version = "second";
      assert.equal(first.version, "first");
      assert.equal(request.version, "mine");
      assert.equal(seen[0]?.version, "changed by the handler");
    });

    it("gives each kind of ShimError its code, and carries its message whole", async () => {
      const message = "container „ä漢🚢“\n100% gone\r\n\ttab";
      let kind: ErrorKind = "internal";
      const { target, served } = withHandlers({
        StopContainer: () => {
          throw new ShimError(kind, message);
        },
        GetContainerEvents: async function* () {
          await delay(0);
          yield { containerId: "c1" };
          throw new ShimError(kind, message);
        },
      });
      await using server = await served;
      for (const [name, code] of Object.entries(codeOfKind)) {
        kind = name as ErrorKind;
        const unary = await failure(server.clients.runtime.stopContainer({ containerId: "c1" }));
        const stream = await failure(collect(server.clients.runtime.getContainerEvents({})));
        for (const error of [unary, stream]) {
          assert.equal(Code[error.code], Code[code], name);
          assert.ok(error.rawMessage.startsWith(message), error.rawMessage);
        }
      }
      assert.equal(target.calls("StopContainer").length, Object.keys(codeOfKind).length);
      assert.equal(target.calls("GetContainerEvents").length, Object.keys(codeOfKind).length);
    });

    it("logs a failure that a polling caller gets again and again once, until it has succeeded", async () => {
      let fails = true;
      const { target, served } = withHandlers({
        ContainerStatus: () => {
          if (fails) throw new ShimError("not-found", "no container c1");
          return {};
        },
      });
      await using server = await served;
      const ask = () => server.clients.runtime.containerStatus({ containerId: "c1" });
      const levels = () => target.calls("ContainerStatus").map(({ level }) => level);
      for (let times = 0; times < 4; times++) await failure(ask());
      assert.deepEqual(levels(), [40, 20, 20, 20]);
      fails = false;
      await ask();
      fails = true;
      await failure(ask());
      assert.deepEqual(levels().slice(4), [20, 40]);
    });

    it("hides the text of an unknown error, and returns an id to find it in the log", async () => {
      const { target, served } = withHandlers({
        StartContainer: () => {
          throw new TypeError("the password is hunter2");
        },
        GetContainerEvents: async function* () {
          await delay(0);
          throw new TypeError("the password is hunter2");
          yield {};
        },
        Status: () => Promise.reject(Object.create(null) as Error),
      });
      await using server = await served;
      const { runtime } = server.clients;
      const calls = {
        StartContainer: () => runtime.startContainer({ containerId: "c1" }),
        GetContainerEvents: () => collect(runtime.getContainerEvents({})),
        Status: () => runtime.status({}),
      };
      for (const [rpc, call] of Object.entries(calls)) {
        const error = await failure(call());
        assert.equal(error.code, Code.Internal);
        assert.doesNotMatch(error.rawMessage, /hunter2/);
        const id = /error id ([0-9a-f]{12})/.exec(error.rawMessage)?.[1];
        assert.ok(id, error.rawMessage);
        const line = target.calls(rpc).find((candidate) => candidate["errorId"] === id);
        assert.ok(line, `no line of ${rpc} with ${id}`);
        assert.equal(line.level, 50);
        if (rpc !== "Status")
          assert.match((line["err"] as { stack: string }).stack, /hunter2[^]*calls\.test/);
      }
    });

    it("passes a ConnectError, shortens texts that exceed a header, and handles lone surrogates", async () => {
      let thrown: Error = new ConnectError("as it is", Code.DataLoss);
      const { served } = withHandlers({
        Version: () => {
          throw thrown;
        },
      });
      await using server = await served;
      const passed = await failure(server.clients.runtime.version({}));
      assert.deepEqual([passed.code, passed.rawMessage], [Code.DataLoss, "as it is"]);
      thrown = new ShimError("not-found", "ä".repeat(100_000));
      const long = await failure(server.clients.runtime.version({}));
      assert.equal(long.code, Code.NotFound);
      assert.match(long.rawMessage, /^ä{4096}… \(95904 more characters\)$/);
      thrown = new ShimError("not-found", "half \ud83d of it");
      assert.equal((await failure(server.clients.runtime.version({}))).rawMessage, "half \ufffd of it");
    });

    it("retries a handler that could not be created", async () => {
      const target = testTarget({ Version: () => ({ version: "made" }) });
      let refusals = 1;
      await using server = await adapter.serve({
        log: target.log,
        handlerFor: (method) => {
          if (refusals-- > 0) throw new ShimError("unavailable", "not yet");
          return target.handlerFor(method);
        },
      });
      assert.equal((await failure(server.clients.runtime.version({}))).code, Code.Unavailable);
      assert.equal((await server.clients.runtime.version({})).version, "made");
    });

    it("passes the deadline to the handler, and aborts it afterwards", async () => {
      let remaining: number | undefined;
      let reason: unknown;
      const { target, served } = withHandlers({
        StopContainer: async (_request: unknown, { signal, timeoutMs }: CallContext) => {
          remaining = timeoutMs();
          await sleep(30_000, signal).catch((error: unknown) => {
            reason = error;
            throw error;
          });
          return {};
        },
      });
      await using server = await served;
      const began = performance.now();
      const error = await failure(server.clients.runtime.stopContainer({}, { timeoutMs: 1_000 }));
      assert.equal(error.code, Code.DeadlineExceeded);
      assert.ok(performance.now() - began < 5_000);
      assert.ok(remaining !== undefined && remaining > 0 && remaining <= 1_000, String(remaining));
      await until(() => reason !== undefined);
      assert.ok(reason instanceof ShimError && reason.kind === "deadline-exceeded", String(reason));
      await until(() => target.calls("StopContainer").length === 1);
      assert.equal(target.calls("StopContainer")[0]?.["code"], "DeadlineExceeded");
    });

    it("answers without a handler that ignores its signal, and logs its result", async () => {
      const { target, served } = withHandlers({
        CreateContainer: async () => {
          await delay(1_200);
          throw new Error("late trouble");
        },
      });
      await using server = await served;
      await failure(server.clients.runtime.createContainer({}, { timeoutMs: 500 }));
      await until(() => target.calls("CreateContainer").length === 1);
      assert.ok(Number(target.calls("CreateContainer")[0]?.["ms"]) < 1_100);
      await until(() => target.lines.some((line) => line.msg.includes("late trouble")));
    });

    it("aborts the handler when the caller cancels", async () => {
      let reason: unknown;
      let running = false;
      const { served, target } = withHandlers({
        PullImage: async (_request: unknown, { signal }: CallContext) => {
          running = true;
          await sleep(30_000, signal).catch((error: unknown) => {
            reason = error;
            throw error;
          });
          return {};
        },
      });
      await using server = await served;
      const controller = new AbortController();
      const call = failure(server.clients.images.pullImage({}, { signal: controller.signal }));
      await until(() => running);
      controller.abort();
      assert.equal((await call).code, Code.Canceled);
      await until(() => reason !== undefined);
      assert.ok(reason instanceof ShimError && reason.kind === "cancelled", String(reason));
      await until(() => target.calls("PullImage").length === 1);
      assert.equal(target.calls("PullImage")[0]?.["code"], "Canceled");
    });

    it("streams messages in order, and ends cleanly", async () => {
      const { served, target } = withHandlers({
        GetContainerEvents: async function* () {
          for (let index = 0; index < 500; index++) {
            if (index % 100 === 0) await delay(1);
            yield index % 2
              ? { containerId: `c${index}` }
              : create(ContainerEventResponseSchema, { containerId: `c${index}` });
          }
        },
      });
      await using server = await served;
      const events = await collect(server.clients.runtime.getContainerEvents({}));
      assert.deepEqual(
        events.map((event) => event.containerId),
        Array.from({ length: 500 }, (_, index) => `c${index}`),
      );
      await until(() => target.calls("GetContainerEvents").length === 1);
      assert.equal(target.calls("GetContainerEvents")[0]?.["sent"], 500);
    });

    it("ends the handler's iteration when the caller leaves the stream", async () => {
      let ended: unknown;
      const { served, target } = withHandlers({
        GetContainerEvents: async function* (_request: unknown, { signal }: CallContext) {
          try {
            for (let index = 0; ; index++) {
              yield { containerId: `c${index}` };
              await sleep(5, signal);
            }
          } finally {
            ended = true;
          }
        },
      });
      await using server = await served;
      let seen = 0;
      for await (const event of server.clients.runtime.getContainerEvents({})) {
        assert.equal(event.containerId, `c${seen}`);
        if (++seen === 3) break;
      }
      await until(() => ended === true);
      await until(() => target.calls("GetContainerEvents").length === 1);
      assert.equal(target.calls("GetContainerEvents")[0]?.["code"], "Canceled");
      assert.equal(target.calls("GetContainerEvents")[0]?.level, 30);
    });

    it("cancels a stream of a silent handler", async () => {
      let reason: unknown;
      let running = false;
      const { served } = withHandlers({
        GetContainerEvents: async function* (_request: unknown, { signal }: CallContext) {
          running = true;
          await sleep(30_000, signal).catch((error: unknown) => {
            reason = error;
            throw error;
          });
        },
      });
      await using server = await served;
      const controller = new AbortController();
      const stream = failure(
        collect(server.clients.runtime.getContainerEvents({}, { signal: controller.signal })),
      );
      await until(() => running);
      controller.abort();
      assert.equal((await stream).code, Code.Canceled);
      await until(() => reason !== undefined);
    });

    it("takes and gives messages up to 16 MiB, and refuses larger ones", async () => {
      const { served } = withHandlers({
        ExecSync: (request: ExecSyncRequest) => ({ stdout: new Uint8Array(Number(request.timeout)) }),
        Version: (request: VersionRequest) => ({ version: String(request.version.length) }),
        GetContainerEvents: async function* () {
          await delay(0);
          yield { containerId: "x".repeat(17 * mebibyte) };
        },
      });
      await using server = await served;
      const { runtime } = server.clients;
      const large = 16 * mebibyte - 100;
      assert.equal((await runtime.execSync({ timeout: BigInt(large) })).stdout.length, large);
      assert.equal((await runtime.version({ version: "x".repeat(large) })).version, String(large));
      const answers = [
        await failure(runtime.execSync({ timeout: BigInt(17 * mebibyte) })),
        await failure(runtime.version({ version: "x".repeat(17 * mebibyte) })),
        await failure(collect(runtime.getContainerEvents({}))),
      ];
      for (const error of answers) {
        assert.equal(error.code, Code.ResourceExhausted, error.message);
        assert.match(error.rawMessage, /16777216/);
      }
      assert.equal((await runtime.version({ version: "alive" })).version, "5");
    });

    it("answers many calls at once", async () => {
      const { served } = withHandlers({
        ListContainers: async (request: ListContainersRequest) => {
          await delay(Math.random() * 5);
          return { containers: [{ id: request.filter?.id ?? "" }] };
        },
      });
      await using server = await served;
      const ids = Array.from({ length: 1_000 }, (_, index) => `id-${index}`);
      const answers = await Promise.all(
        ids.map((id) => server.clients.runtime.listContainers({ filter: { id } })),
      );
      assert.deepEqual(
        answers.map((answer) => answer.containers[0]?.id),
        ids,
      );
    });

    it("returns UNIMPLEMENTED for a service that is not served", async () => {
      await using server = await adapter.serve(testTarget({ Version: () => ({}) }), {
        services: ["RuntimeService"],
      });
      await server.clients.runtime.version({});
      assert.equal((await failure(server.clients.images.listImages({}))).code, Code.Unimplemented);
    });

    it("logs one line for each call: its subject, never its content", async () => {
      const { served, target } = withHandlers({
        PullImage: (request: PullImageRequest) => ({ imageRef: request.image?.image ?? "" }),
        StopContainer: () => {
          throw new ShimError("not-found", "no container c9");
        },
        Version: (_request: unknown, { log }: CallContext) => {
          log.info("the handler's own line");
          return {};
        },
      });
      await using server = await served;
      const { runtime, images } = server.clients;
      await images.pullImage({
        image: { image: "registry/app:1" },
        auth: { username: "bob", password: "s3cret", auth: "Ym9iOnMzY3JldA==", identityToken: "tok3n" },
      });
      await failure(runtime.stopContainer({ containerId: "c9" }));
      await runtime.version({});
      await until(() => target.calls("Version").length === 1);
      const [pull] = target.calls("PullImage");
      const [stop] = target.calls("StopContainer");
      const [version] = target.calls("Version");
      assert.deepEqual([pull?.level, pull?.["code"], pull?.["image"]], [30, "OK", "registry/app:1"]);
      assert.deepEqual([stop?.level, stop?.["code"], stop?.["container"]], [40, "NotFound", "c9"]);
      assert.equal(stop?.["error"], "no container c9");
      assert.deepEqual([version?.level, version?.["code"]], [20, "OK"]);
      assert.equal(typeof version?.["ms"], "number");
      const own = target.lines.find((line) => line.msg === "the handler's own line");
      assert.deepEqual([own?.["rpc"], own?.["callId"]], ["Version", version?.["callId"]]);
      assert.doesNotMatch(JSON.stringify(target.lines), /s3cret|Ym9iOnMzY3JldA|tok3n/);
      assert.equal(target.lines.filter((line) => line["code"] !== undefined).length, 3);
    });
  });
}
