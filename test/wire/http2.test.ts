import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { describe, it } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { VersionResponseSchema, type VersionRequest } from "../../src/gen/runtime/v1/api_pb.js";
import { sleep } from "../../src/base/index.js";
import type { CallContext } from "../../src/handlers/index.js";
import { bytesAfterCollection } from "../support/heap.js";
import { answerOf, frame, rawSession, versionPath, versionRequest, type RawAnswer } from "./support/raw.js";
import { socketAdapters } from "./support/servers.js";
import { testTarget } from "./support/target.js";
import { until } from "./support/until.js";

const versionHandlers = { Version: (request: VersionRequest) => ({ version: request.version }) };

function versionOf(answer: RawAnswer): string {
  assert.equal(answer.status, "0", answer.message);
  return fromBinary(VersionResponseSchema, answer.body.subarray(5)).version;
}

for (const adapter of socketAdapters) {
  describe(`HTTP/2 over ${adapter.name}`, () => {
    it("answers kubelets before 1.26, which call runtime.v1alpha2", async () => {
      await using server = await adapter.serve(testTarget(versionHandlers));
      await using raw = rawSession(server.dial);
      const path = "/runtime.v1alpha2.RuntimeService/Version";
      assert.equal(versionOf(await raw.call({ ":path": path }, frame(versionRequest()))), "v1");
      const other = await raw.call(
        { ":path": "/runtime.v1alpha1.RuntimeService/Version" },
        frame(versionRequest()),
      );
      assert.equal(other.status, "12");
    });

    it("answers every gRPC content type, and is as strict about the others as HTTP is", async () => {
      await using server = await adapter.serve(testTarget(versionHandlers));
      await using raw = rawSession(server.dial);
      for (const contentType of ["application/grpc", "application/grpc+proto", "application/grpc;v=1"]) {
        const answer = await raw.call({ "content-type": contentType }, frame(versionRequest()));
        assert.equal(versionOf(answer), "v1");
        assert.equal(answer.headers["content-type"], contentType.replace(/;.*/, ""));
      }
      const json = await raw.call(
        { "content-type": "application/grpc+json" },
        frame(Buffer.from('{"version":"j"}')),
      );
      assert.equal(json.status, "0");
      assert.match(json.body.toString(), /"version":"j"/);
      assert.equal(
        (await raw.call({ "content-type": "text/html" }, Buffer.from("x"))).headers[":status"],
        415,
      );
      assert.equal((await raw.call({ ":method": "PUT" }, frame(versionRequest()))).headers[":status"], 405);
    });

    it("answers Connect JSON over HTTP/2", async () => {
      await using server = await adapter.serve(testTarget(versionHandlers));
      await using raw = rawSession(server.dial);
      const answer = await raw.call({ "content-type": "application/json" }, Buffer.from('{"version":"j"}'));
      assert.equal(answer.headers[":status"], 200);
      assert.deepEqual(JSON.parse(answer.body.toString()), { version: "j" });
    });

    it("never compresses, whatever the client offers", async () => {
      await using server = await adapter.serve(
        testTarget({ Version: () => ({ version: "x".repeat(10_000) }) }),
      );
      await using raw = rawSession(server.dial);
      const grpc = await raw.call({ "grpc-accept-encoding": "gzip" }, frame(versionRequest()));
      assert.equal(grpc.headers["grpc-encoding"], undefined);
      assert.equal(grpc.body[0], 0);
      assert.equal(versionOf(grpc).length, 10_000);
      const headers = { "content-type": "application/json", "accept-encoding": "gzip, br" };
      const json = await raw.call(headers, Buffer.from("{}"));
      assert.equal(json.headers["content-encoding"], undefined);
      assert.equal((JSON.parse(json.body.toString()) as { version: string }).version.length, 10_000);
    });

    it("reads gzip requests, and reports which encodings it reads when it gets another", async () => {
      await using server = await adapter.serve(testTarget(versionHandlers));
      await using raw = rawSession(server.dial);
      const packed = frame(gzipSync(versionRequest("packed")), 1);
      assert.equal(versionOf(await raw.call({ "grpc-encoding": "gzip" }, packed)), "packed");
      assert.equal(
        versionOf(await raw.call({ "grpc-encoding": "gzip" }, frame(versionRequest("plain")))),
        "plain",
      );
      const other = await raw.call({ "grpc-encoding": "br" }, frame(brotliCompressSync(versionRequest()), 1));
      assert.equal(other.status, "12");
      assert.equal(other.headers["grpc-accept-encoding"], "identity,gzip");
      assert.equal((await raw.call({}, packed)).status, "12");
      const damaged = await raw.call({ "grpc-encoding": "gzip" }, frame(Buffer.from("no gzip"), 1));
      assert.equal(damaged.status, "3");
      const bomb = frame(gzipSync(Buffer.alloc(64 * 1024 * 1024)), 1);
      assert.equal((await raw.call({ "grpc-encoding": "gzip" }, bomb)).status, "8");
    });

    it("refuses anything but one message", async () => {
      await using server = await adapter.serve(testTarget(versionHandlers));
      await using raw = rawSession(server.dial);
      const one = frame(versionRequest());
      const wrong: [string, string, Buffer[]][] = [
        ["nothing", "12", []],
        ["two messages", "12", [one, one]],
        ["a torn prefix", "3", [one.subarray(0, 3)]],
        ["a torn message", "3", [one.subarray(0, -1)]],
        ["an unknown flag", "3", [frame(versionRequest(), 7)]],
        ["no protobuf", "3", [frame(Buffer.from([0x0a, 0xff, 0xff]))]],
        ["a length beyond the limit", "8", [frame(Buffer.alloc(10), 0, 0xffff_ffff)]],
      ];
      for (const [what, status, body] of wrong) {
        const answer = await raw.call({}, ...body);
        assert.equal(answer.status, status, what);
        assert.ok(answer.message.length > 10, what);
        assert.equal(answer.headers[":status"], 200, what);
      }
      const bytes = Array.from(one, (_, index) => one.subarray(index, index + 1));
      assert.equal(versionOf(await raw.call({}, ...bytes)), "v1");
    });

    it("refuses a large request before it has all arrived, and keeps the connection", async () => {
      await using server = await adapter.serve(testTarget(versionHandlers));
      await using raw = rawSession(server.dial);
      const stream = raw.open({});
      const answered = answerOf(stream);
      stream.write(frame(Buffer.alloc(1024), 0, 17 * 1024 * 1024));
      const headers = await new Promise<Record<string, unknown>>((resolve) =>
        stream.once("response", resolve),
      );
      assert.equal(headers["grpc-status"], "8");
      assert.equal(versionOf(await raw.call({}, frame(versionRequest()))), "v1");
      stream.end();
      await answered;
    });

    it("answers UNIMPLEMENTED for unknown services, methods and paths, in gRPC's words", async () => {
      await using server = await adapter.serve(testTarget(versionHandlers));
      await using raw = rawSession(server.dial);
      const paths = [
        "/runtime.v1alpha1.RuntimeService/Version",
        "/runtime.v1.RuntimeService/NoSuchMethod",
        "/grpc.health.v1.Health/Check",
        "/",
        "//",
        `/${"x".repeat(4_000)}`,
      ];
      for (const path of paths) {
        for (const contentType of [
          "application/grpc",
          "application/grpc-web+proto",
          "application/grpc+json",
        ]) {
          const answer = await raw.call(
            { ":path": path, "content-type": contentType },
            frame(versionRequest()),
          );
          assert.equal(answer.headers[":status"], 200, `${path} ${contentType}`);
          assert.equal(answer.status, "12", `${path} ${contentType}`);
        }
        const json = await raw.call({ ":path": path, "content-type": "application/json" }, Buffer.from("{}"));
        assert.equal(json.headers[":status"], 404, path);
      }
    });

    it("lives through odd authorities and paths", async () => {
      await using server = await adapter.serve(testTarget(versionHandlers));
      for (const authority of ["%2Frun%2Fcri.sock", "localhost:99999", "a b", "[::", "http", "localhost:"]) {
        await using raw = rawSession(server.dial);
        for (const contentType of ["application/grpc", "application/json", "application/grpc-web+proto"]) {
          const headers = { ":authority": authority, "content-type": contentType };
          // nghttp2 resets some authorities itself; no answer is as good as one, as long as the server lives.
          await raw.call(headers, frame(versionRequest())).catch(() => undefined);
        }
        await raw
          .call({ ":path": "http://[::1/x", "content-type": "application/json" })
          .catch(() => undefined);
      }
      await using raw = rawSession(server.dial);
      const encoded = { ":authority": "%2Frun%2Fcri.sock" };
      assert.equal(versionOf(await raw.call(encoded, frame(versionRequest()))), "v1");
      const json = await raw.call({ ...encoded, "content-type": "application/json" }, Buffer.from("{}"));
      assert.equal(json.headers[":status"], 200);
    });

    it("reads grpc-timeout as gRPC writes it", async () => {
      const remaining: (number | undefined)[] = [];
      const target = testTarget({
        Version: (_request: unknown, { timeoutMs }: CallContext) => {
          remaining.push(timeoutMs());
          return {};
        },
      });
      await using server = await adapter.serve(target);
      await using raw = rawSession(server.dial);
      for (const timeout of ["1H", "1M", "1S", "1000m", "1000000u", "99999999H"]) {
        assert.equal(
          (await raw.call({ "grpc-timeout": timeout }, frame(versionRequest()))).status,
          "0",
          timeout,
        );
      }
      const expected = [3_600_000, 60_000, 1_000, 1_000, 1_000, 99_999_999 * 3_600_000];
      remaining.forEach((value, index) => {
        const full = expected[index]!;
        assert.ok(value !== undefined && value <= full && value > full - 900, `${value} of ${full}`);
      });
      // The largest number of nanoseconds is a tenth of a second, which a busy machine may take.
      const inNanos = await raw.call({ "grpc-timeout": "99999999n" }, frame(versionRequest()));
      assert.match(inNanos.status ?? "", /^[04]$/);
      for (const timeout of ["", "S", "1", "1s", "-1S", "123456789S", "1 S"]) {
        assert.equal(
          (await raw.call({ "grpc-timeout": timeout }, frame(versionRequest()))).status,
          "3",
          timeout,
        );
      }
      assert.equal(
        (await raw.call({ "grpc-timeout": "0n" }, frame(versionRequest()))).status?.match(/^[04]$/)?.length,
        1,
      );
    });

    it("ends a call whose client never sends its request, when the deadline has passed", async () => {
      const target = testTarget(versionHandlers);
      await using server = await adapter.serve(target);
      await using raw = rawSession(server.dial);
      const stream = raw.open({ "grpc-timeout": "200m" });
      const headers = await new Promise<Record<string, unknown>>((resolve) =>
        stream.once("response", resolve),
      );
      assert.equal(headers["grpc-status"], "4");
      assert.equal(target.calls("Version").length, 1);
    });

    it("aborts the handler when the stream is reset, and when the connection is lost", async () => {
      const reasons: unknown[] = [];
      let running = 0;
      const target = testTarget({
        Version: async (_request: unknown, { signal }: CallContext) => {
          running++;
          await sleep(30_000, signal).catch((error: unknown) => reasons.push(error));
          return {};
        },
      });
      await using server = await adapter.serve(target);
      const raw = rawSession(server.dial);
      const reset = raw.open({});
      reset.end(frame(versionRequest()));
      const lost = raw.open({});
      lost.end(frame(versionRequest()));
      await until(() => running === 2);
      reset.close(8);
      await until(() => reasons.length === 1);
      raw.session.destroy();
      await until(() => reasons.length === 2);
      assert.ok(reasons.every((reason) => (reason as { kind?: string }).kind === "cancelled"));
    });

    it("lives through a client that resets its streams at once", async () => {
      const target = testTarget({
        Version: async () => {
          await delay(20);
          return {};
        },
      });
      await using server = await adapter.serve(target);
      await using raw = rawSession(server.dial);
      for (let index = 0; index < 500; index++) {
        const stream = raw.open({});
        if (index % 2) stream.end(frame(versionRequest()));
        stream.close(8);
      }
      await server.clients.runtime.version({});
    });

    it("lives through resets while answers are stuck and calls end each other", async () => {
      let shared = new AbortController();
      const target = testTarget({
        ListContainers: () => ({ containers: [{ id: "y".repeat(1_000_000) }] }),
        GetContainerEvents: async function* (_request: unknown, { signal }: CallContext) {
          for (;;) {
            signal.throwIfAborted();
            yield { containerId: "x".repeat(50_000) };
            await delay(0);
          }
        },
        StopContainer: async (_request: unknown, { signal }: CallContext) => {
          const mine = shared;
          await sleep(60_000, AbortSignal.any([signal, mine.signal])).finally(() => {
            if (shared === mine) shared = new AbortController();
            mine.abort();
          });
          return {};
        },
        Version: () => ({ version: "alive" }),
      });
      await using server = await adapter.serve(target);
      await using raw = rawSession(server.dial);
      for (let round = 0; round < 5; round++) {
        const streams = ["GetContainerEvents", "ListContainers", "StopContainer"].flatMap((rpc) =>
          Array.from({ length: 5 }, () => {
            const stream = raw.open({ ":path": `/runtime.v1.RuntimeService/${rpc}` });
            stream.pause();
            stream.end(frame(new Uint8Array()));
            return stream;
          }),
        );
        await delay(20);
        streams.forEach((stream, index) => {
          stream.close([8, 0, 7, 2][index % 4]);
        });
        await delay(5);
      }
      assert.equal(versionOf(await raw.call({}, frame(versionRequest()))), "alive");
    });

    it("pauses a handler while its client does not read", async () => {
      let produced = 0;
      const target = testTarget({
        GetContainerEvents: async function* () {
          for (; produced < 5_000; produced++) {
            yield { containerId: "x".repeat(10_000) };
            if (produced % 100 === 0) await delay(0);
          }
        },
      });
      await using server = await adapter.serve(target);
      await using raw = rawSession(server.dial);
      const stream = raw.open({ ":path": "/runtime.v1.RuntimeService/GetContainerEvents" });
      stream.end(frame(new Uint8Array()));
      await new Promise((resolve) => stream.once("response", resolve));
      await delay(300);
      assert.ok(produced < 200, `${produced} messages were made for a client that took none`);
      let bytes = 0;
      stream.on("data", (chunk: Buffer) => (bytes += chunk.length));
      await new Promise((resolve) => stream.once("close", resolve));
      assert.equal(produced, 5_000);
      assert.ok(bytes > 50_000_000, String(bytes));
    });

    it("takes 5,000 calls on one connection without growing", async () => {
      await using server = await adapter.serve(testTarget({ Version: () => ({ version: "v1" }) }));
      await using raw = rawSession(server.dial);
      const request = frame(versionRequest());
      let failed = 0;
      const worker = async (calls: number) => {
        for (let index = 0; index < calls; index++) {
          if ((await raw.call({}, request)).status !== "0") failed++;
        }
      };
      const run = (each: number) => Promise.all(Array.from({ length: 16 }, () => worker(each)));
      await run(63);
      const before = bytesAfterCollection();
      await run(250);
      assert.equal(failed, 0);
      const grown = bytesAfterCollection() - before;
      // A leak of 1 kB a call.
      assert.ok(grown < 4_000_000, `${grown} bytes more`);
    });

    it("answers at the path that the contract names", async () => {
      await using server = await adapter.serve(testTarget(versionHandlers));
      await using raw = rawSession(server.dial);
      assert.equal(versionOf(await raw.call({ ":path": versionPath }, frame(versionRequest("p")))), "p");
    });
  });
}
