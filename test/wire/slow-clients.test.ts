import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, it } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { serveTcp } from "../../src/adapters/tcp/index.js";
import { reliable } from "../../src/client/reliable.js";
import { openTransport } from "../../src/client/transport.js";
import { sleep } from "../../src/base/index.js";
import { RuntimeService } from "../../src/gen/runtime/v1/api_pb.js";
import type { CallContext } from "../../src/handlers/index.js";
import { Authority } from "./support/certificates.js";
import { frame, rawSession, versionRequest } from "./support/raw.js";
import { socketAdapters, temporaryFolder } from "./support/servers.js";
import { testTarget } from "./support/target.js";
import { pino } from "pino";
import { startServer } from "../../src/streaming/http/server.js";
import { createMemoryDocker } from "../../src/testing/index.js";
import { closed } from "../support/closed.js";

const target = () => testTarget({ Version: () => ({ version: "v1" }) });

/** A record of TLS that says it has 16 KiB, and never gets there. */
const slowHello = "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03";

/** Sends a byte of a text each second, for as long as the server lets it. Resolves with the seconds. */
async function drip(socket: Socket, begin: string, byte: string): Promise<number> {
  const began = performance.now();
  const ended = closed(socket.resume());
  await once(socket, "connect");
  socket.write(Buffer.from(begin, "latin1"));
  const timer = setInterval(() => socket.write(byte), 1_000);
  const late = new Promise((resolve) => setTimeout(resolve, 45_000, "late").unref());
  const outcome = await Promise.race([ended, late]);
  clearInterval(timer);
  socket.destroy();
  assert.notEqual(outcome, "late", "the server has kept the connection");
  return (performance.now() - began) / 1000;
}

describe("a client that never ends its request", { concurrency: true }, () => {
  it("loses a connection whose TLS handshake takes longer than 10 s", async () => {
    const server = await serveTcp(target(), { port: 0, tls: new Authority("ours").issue("server") });
    const begins = Array.from({ length: 20 }, () => slowHello);
    const seconds = await Promise.all(
      begins.map((begin) => drip(connect(server.port, server.host), begin, "x")),
    );
    assert.ok(Math.max(...seconds) < 20, String(seconds));
    await server.close();
  });

  it("loses a connection to the streaming server whose TLS handshake drips", async () => {
    const { cert, key } = new Authority("streaming").issue("server");
    const { host } = createMemoryDocker();
    await host.files.writeAtomic("/etc/tls.pem", `${cert}\n${key}`);
    const log = pino({ level: "silent" });
    const options = { address: "127.0.0.1:0", tls: { certFile: "/etc/tls.pem" }, host, log };
    const nothing = Object.assign(() => undefined, { upgrade: () => false, attach: () => undefined });
    const server = await startServer(options, nothing);
    const { hostname, port } = new URL(server.baseUrl);
    const handshake = await drip(connect(Number(port), hostname), slowHello, "x");
    assert.ok(handshake < 20, `a handshake dripped for ${handshake} s`);
    server.close();
  });

  for (const adapter of socketAdapters) {
    it(`loses an HTTP/1.1 connection whose head or body drips, over ${adapter.name}`, async () => {
      await using server = await adapter.serve(target());
      const start = "POST /runtime.v1.RuntimeService/Version HTTP/1.1\r\nHost: x\r\n";
      const withBody = `${start}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`;
      const [head, body] = await Promise.all([
        drip(server.dial(), `${start}X-Long: `, "x"),
        drip(server.dial(), withBody, " "),
      ]);
      assert.ok(head < 20, `the head of a request dripped for ${head} s`);
      assert.ok(body < 35, `the body of a request dripped for ${body} s`);
    });
  }
});

describe("a web page", () => {
  for (const adapter of socketAdapters) {
    it(`is refused over gRPC, too, on ${adapter.name}`, async () => {
      const handlers = target();
      await using server = await adapter.serve(handlers);
      await using raw = rawSession(server.dial);
      const answer = await raw.call({ origin: "https://example.com" }, frame(versionRequest()));
      assert.equal(answer.status, String(Code.PermissionDenied));
      assert.equal(handlers.calls("Version").length, 0);
    });
  }
});

describe("a client of a server that stands still", () => {
  it("gets UNAVAILABLE, again and again, and its process lives", async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "still.sock");
    const uncaught: unknown[] = [];
    const note = (error: unknown) => uncaught.push(error);
    process.on("uncaughtException", note);
    const [adapter] = socketAdapters;
    const endless = async function* (_request: unknown, { signal }: CallContext) {
      yield {};
      await sleep(60_000, signal);
    };
    await using server = await adapter!.serve(
      testTarget({ Version: () => ({ version: "v1" }), GetContainerEvents: endless }),
    );
    // Between both: at times it passes nothing on.
    let isStill = false;
    const waiting: (() => void)[] = [];
    const proxy = createServer((client) => {
      const there = server.dial();
      for (const [from, to] of [
        [client, there],
        [there, client],
      ] as const) {
        from.on("error", () => undefined).on("close", () => to.destroy());
        from.on("data", (chunk) => {
          const pass = () => {
            to.write(chunk);
          };
          if (isStill) waiting.push(pass);
          else pass();
        });
      }
    }).listen(path);
    await once(proxy, "listening");
    const open = openTransport(`unix://${path}`, undefined, { pingIntervalMs: 100, pingTimeoutMs: 50 });
    const runtime = createClient(RuntimeService, reliable(open.transport, 3_000));
    let over = false;
    const failed = new Set<Code>();
    const noteCode = (error: unknown) => failed.add(ConnectError.from(error).code);
    // A follower that subscribes anew at once, and callers that poll: connect-node then leaves a session that lives.
    const follow = async () => {
      while (!over) for await (const _ of orEnd(runtime.getContainerEvents({}), noteCode)) continue;
    };
    const poll = async () => {
      while (!over) {
        await runtime.version({}).catch(noteCode);
        await delay(20);
      }
    };
    const work = [follow(), follow(), follow(), poll(), poll(), poll()];
    for (let stall = 0; stall < 20; stall++) {
      await delay(100);
      isStill = true;
      await delay(200);
      isStill = false;
      for (const pass of waiting.splice(0)) pass();
    }
    over = true;
    await runtime.version({});
    const codes = [...failed].map((code) => Code[code]);
    open.close();
    proxy.close();
    await Promise.allSettled(work);
    process.off("uncaughtException", note);
    assert.deepEqual(uncaught, []);
    assert.deepEqual(codes, ["Unavailable"]);
  });
});

/** The messages of a stream, until it ends or fails. */
async function* orEnd<T>(messages: AsyncIterable<T>, failed: (error: unknown) => void): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    failed(error);
  }
}
