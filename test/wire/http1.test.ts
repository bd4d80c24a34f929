import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { describe, it } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { ShimError, sleep } from "../../src/base/index.js";
import { ImageService, RuntimeService, type VersionRequest } from "../../src/gen/runtime/v1/api_pb.js";
import type { CallContext } from "../../src/handlers/index.js";
import { failure } from "./support/failure.js";
import { socketAdapters, type SocketServer } from "./support/servers.js";
import { testTarget } from "./support/target.js";
import { until } from "./support/until.js";
import { closed } from "../support/closed.js";

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** What curl does with the server's socket. */
function request(server: SocketServer, options: http.RequestOptions, body = "{}"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = http.request(
      {
        method: "POST",
        path: "/runtime.v1.RuntimeService/Version",
        headers: { "content-type": "application/json" },
        createConnection: () => server.dial(),
        ...options,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
        });
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

function transportOptions(server: SocketServer) {
  return {
    baseUrl: "http://localhost",
    httpVersion: "1.1" as const,
    nodeOptions: { createConnection: () => server.dial() },
  };
}

const handlers = {
  Version: (message: VersionRequest) => ({ version: message.version }),
  StopContainer: () => {
    throw new ShimError("not-found", "no container „ä“");
  },
  GetContainerEvents: async function* (_request: unknown, { signal }: CallContext) {
    yield { containerId: "c1" };
    await sleep(10, signal);
    yield { containerId: "c2" };
  },
};

for (const adapter of socketAdapters) {
  describe(`HTTP/1.1 over ${adapter.name}`, () => {
    it("answers Connect JSON, also with a percent-encoded host", async () => {
      await using server = await adapter.serve(testTarget(handlers));
      for (const host of ["localhost", "%2Frun%2Fcri.sock", "localhost:99999", "a b"]) {
        const headers = { "content-type": "application/json", host };
        const answer = await request(server, { headers }, '{"version":"v1"}');
        assert.deepEqual([answer.status, answer.body], [200, '{"version":"v1"}'], host);
      }
      const failed = await request(server, { path: "/runtime.v1.RuntimeService/StopContainer" });
      assert.equal(failed.status, 404);
      assert.deepEqual(JSON.parse(failed.body), { code: "not_found", message: "no container „ä“" });
    });

    it("refuses unknown paths, methods and content, and damaged JSON", async () => {
      await using server = await adapter.serve(testTarget(handlers));
      assert.equal((await request(server, { path: "/" })).status, 404);
      assert.equal((await request(server, { path: "//" })).status, 404);
      assert.equal((await request(server, { path: "/runtime.v1.RuntimeService/No" })).status, 404);
      assert.equal((await request(server, { method: "PUT" })).status, 405);
      assert.equal((await request(server, { headers: { "content-type": "text/plain" } })).status, 415);
      assert.equal((await request(server, {}, "{")).status, 400);
      assert.equal((await request(server, {}, '{"version":')).status, 400);
      const unknown = await request(server, {
        path: "/runtime.v1alpha2.RuntimeService/Version",
        headers: { "content-type": "application/grpc-web+proto" },
      });
      assert.deepEqual([unknown.status, unknown.headers["grpc-status"]], [200, "12"]);
    });

    it("refuses web pages, whichever they are", async () => {
      const target = testTarget(handlers);
      await using server = await adapter.serve(target);
      const headers = { "content-type": "application/json", origin: "http://localhost" };
      const answer = await request(server, { headers });
      assert.equal(answer.status, 403);
      assert.match(answer.body, /web pages/);
      assert.equal(target.calls("Version").length, 0);
    });

    it("refuses a request beyond 16 MiB and lives", async () => {
      await using server = await adapter.serve(testTarget(handlers));
      const large = JSON.stringify({ version: "x".repeat(17 * 1024 * 1024) });
      const answer = await request(server, {}, large).catch(
        (error: unknown) => (error as NodeJS.ErrnoException).code,
      );
      if (typeof answer === "object") assert.equal(answer.status, 429);
      else assert.match(String(answer), /ECONNRESET|EPIPE/);
      assert.equal((await request(server, {})).status, 200);
    });

    it("speaks gRPC-Web and Connect with streams and errors", async () => {
      await using server = await adapter.serve(testTarget(handlers), { services: ["RuntimeService"] });
      const transports = {
        grpcWeb: createGrpcWebTransport(transportOptions(server)),
        connectJson: createConnectTransport({ ...transportOptions(server), useBinaryFormat: false }),
        connectProto: createConnectTransport(transportOptions(server)),
      };
      for (const [name, transport] of Object.entries(transports)) {
        const runtime = createClient(RuntimeService, transport);
        assert.equal((await runtime.version({ version: name })).version, name);
        const ids: string[] = [];
        for await (const event of runtime.getContainerEvents({})) ids.push(event.containerId);
        assert.deepEqual(ids, ["c1", "c2"], name);
        const error = await failure(runtime.stopContainer({}));
        assert.deepEqual([error.code, error.rawMessage], [Code.NotFound, "no container „ä“"], name);
        const images = createClient(ImageService, transport);
        assert.equal((await failure(images.listImages({}))).code, Code.Unimplemented, name);
      }
    });

    it("aborts the handler when the client disconnects, and leaves nothing behind on close", async () => {
      let reason: unknown;
      let running = false;
      const target = testTarget({
        Version: async (_request: unknown, { signal }: CallContext) => {
          running = true;
          await sleep(30_000, signal).catch((error: unknown) => (reason = error));
          return {};
        },
      });
      await using server = await adapter.serve(target);
      const socket = server.dial();
      await once(socket, "connect");
      const head =
        "POST /runtime.v1.RuntimeService/Version HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
      socket.write(`${head}Content-Length: 2\r\n\r\n{}`);
      await until(() => running);
      socket.destroy();
      await until(() => reason !== undefined);
      assert.equal((reason as { kind?: string }).kind, "cancelled");
    });

    it("lets an answer under way end, and closes connections that wait for the next request", async () => {
      let running = false;
      const target = testTarget({
        Version: async () => {
          running = true;
          await delay(200);
          return { version: "late" };
        },
      });
      await using server = await adapter.serve(target);
      const idle = server.dial();
      await once(idle, "connect");
      idle.write("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
      await once(idle, "data");
      const gone = closed(idle);
      const answer = request(server, {});
      await until(() => running);
      const began = performance.now();
      await server.close();
      assert.ok(performance.now() - began < 2_000);
      assert.deepEqual(JSON.parse((await answer).body), { version: "late" });
      await gone;
    });
  });
}
