import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { sleep } from "../../src/base/index.js";
import type { CallContext } from "../../src/handlers/index.js";
import { failure } from "./support/failure.js";
import { frame, rawSession, versionRequest } from "./support/raw.js";
import { socketAdapters } from "./support/servers.js";
import { testTarget, type TestTarget } from "./support/target.js";
import { until } from "./support/until.js";
import { closed } from "../support/closed.js";

async function milliseconds(work: Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work;
  return performance.now() - began;
}

/** Handlers that hang until they are aborted, and one that answers when it is told to. */
function hangingTarget(): TestTarget & { running: number; reasons: unknown[]; answer: () => void } {
  let answer = (): void => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const hang = async (signal: AbortSignal) => {
    target.running++;
    await sleep(60_000, signal).catch((error: unknown) => {
      target.reasons.push(error);
      throw error;
    });
  };
  const target = {
    ...testTarget({
      Version: () => ({ version: "v1" }),
      StopContainer: (_request: unknown, { signal }: CallContext) => hang(signal),
      ExecSync: async () => {
        target.running++;
        await answered;
        return { exitCode: 7 };
      },
      GetContainerEvents: async function* (_request: unknown, { signal }: CallContext) {
        yield { containerId: "c1" };
        await hang(signal);
      },
    }),
    running: 0,
    reasons: [] as unknown[],
    answer,
  };
  return target;
}

for (const adapter of socketAdapters) {
  describe(`closing a server on ${adapter.name}`, () => {
    it("ends streams with UNAVAILABLE and lets unary calls end", async () => {
      const target = hangingTarget();
      await using server = await adapter.serve(target);
      const { runtime } = server.clients;
      const stream = (async () => {
        const events: string[] = [];
        try {
          for await (const event of runtime.getContainerEvents({})) events.push(event.containerId);
        } catch (error) {
          return { events, error };
        }
        return { events, error: undefined };
      })();
      const unary = runtime.execSync({});
      await until(() => target.running === 2);
      let isClosed = false;
      const closing = server.close().finally(() => (isClosed = true));
      const { events, error } = await stream;
      assert.deepEqual(events, ["c1"]);
      assert.ok(error instanceof ConnectError && error.code === Code.Unavailable, String(error));
      assert.match(error.rawMessage, /shutting down/);
      await delay(100);
      assert.equal(isClosed, false, "a unary call is under way");
      target.answer();
      const took = await milliseconds(closing);
      assert.equal((await unary).exitCode, 7);
      assert.ok(took < 3_000, `${took} ms`);
    });

    it("ends unary calls with UNAVAILABLE when they take longer than the grace", async () => {
      const target = hangingTarget();
      await using server = await adapter.serve(target);
      const unary = failure(server.clients.runtime.stopContainer({}));
      await until(() => target.running === 1);
      const took = await milliseconds(server.close({ graceMs: 100 }));
      assert.equal((await unary).code, Code.Unavailable);
      assert.ok(took >= 90 && took < 2_000, `${took} ms`);
      assert.equal((target.reasons[0] as { kind: string }).kind, "unavailable");
    });

    it("closes at once when nothing is under way, whatever is connected", async () => {
      await using server = await adapter.serve(hangingTarget());
      await server.clients.runtime.version({});
      await using idle = rawSession(server.dial);
      await idle.call({}, frame(versionRequest()));
      const silent = server.dial();
      const torn = server.dial();
      torn.on("error", () => undefined);
      await once(torn, "connect");
      torn.write("PR");
      const garbage = server.dial();
      garbage.on("error", () => undefined);
      garbage.write("\0\0\0\0 nonsense \r\n\r\n");
      const halfDone = rawSession(server.dial);
      halfDone.open({});
      await delay(50);
      const bothClosed = [silent, torn].map(closed);
      const took = await milliseconds(server.close({ graceMs: 1_000 }));
      await Promise.all(bothClosed);
      assert.ok(took < 2_000, `${took} ms`);
      assert.ok(idle.session.destroyed || idle.session.closed);
      await halfDone[Symbol.asyncDispose]();
    });

    it("refuses calls once it is closing, closes once, and leaves no socket behind", async () => {
      const before = resources();
      {
        const target = hangingTarget();
        await using server = await adapter.serve(target);
        const { runtime } = server.clients;
        const unary = runtime.execSync({});
        unary.catch(() => undefined);
        await until(() => target.running === 1);
        const closing = server.close();
        const late = await failure(runtime.version({}));
        assert.equal(late.code, Code.Unavailable, late.message);
        target.answer();
        assert.equal((await unary).exitCode, 7);
        await Promise.all([closing, server.close()]);
        await server.close();
        assert.ok(!process.getActiveResourcesInfo().some((name) => /ServerWrap/.test(name)));
        await assert.rejects(once(server.dial(), "connect"));
      }
      await until(() => resources() <= before);
    });

    it("disconnects a client that does not read", async () => {
      const target = testTarget({
        GetContainerEvents: async function* () {
          for (;;) {
            yield { containerId: "x".repeat(100_000) };
            await delay(0);
          }
        },
      });
      await using server = await adapter.serve(target);
      await using raw = rawSession(server.dial);
      const stream = raw.open({ ":path": "/runtime.v1.RuntimeService/GetContainerEvents" });
      stream.end(frame(new Uint8Array()));
      await once(stream, "response");
      await delay(100);
      const took = await milliseconds(server.close({ graceMs: 300 }));
      assert.ok(took < 2_000, `${took} ms`);
      await until(() => target.calls("GetContainerEvents").length === 1);
      assert.equal(target.calls("GetContainerEvents")[0]?.["code"], "Unavailable");
    });

    it("lives through connections that are cut and garbage of all kinds", async () => {
      const target = hangingTarget();
      await using server = await adapter.serve(target);
      const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
      const openings = [
        "",
        "P",
        "PRI",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        preface,
        `${preface}\xff\xff\xff\xff\xff\xff\xff\xff\xff`,
        `${preface}GET / HTTP/1.1\r\n\r\n`,
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "GET / HTTP/1.1\r\nHost: x\r\n",
        `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc`,
        `GET ${"/x".repeat(50_000)} HTTP/1.1\r\n\r\n`,
        "x".repeat(100_000),
      ];
      for (const opening of openings) {
        for (const end of ["end", "destroy", "reset"] as const) {
          const socket = server.dial();
          socket.on("error", () => undefined);
          await once(socket, "connect");
          socket.write(Buffer.from(opening, "latin1"));
          await delay(2);
          if (end === "end") socket.end();
          else if (end === "destroy" || socket.remotePort === undefined) socket.destroy();
          else socket.resetAndDestroy();
        }
      }
      assert.equal((await server.clients.runtime.version({})).version, "v1");
    });
  });
}

/** Sockets and timers that this process holds. */
function resources(): number {
  return process
    .getActiveResourcesInfo()
    .filter((name) => /Socket|Pipe|TCP|Server|Timeout/.test(name) && name !== "PipeWrap").length;
}
