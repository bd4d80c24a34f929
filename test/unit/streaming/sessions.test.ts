import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connectPortForward, connectProcess } from "../../../src/client/index.js";
import type { ContainerProcess } from "../../../src/testing/index.js";
import { streamingWorld, until } from "./world.js";

const echo = async (process: ContainerProcess) => {
  for await (const chunk of process.stdin) await process.stdout.write(chunk);
};

const both = async (process: ContainerProcess) => {
  await process.stdout.write("out\n");
  await process.stderr.write("err\n");
  return 7;
};

for (const transport of ["spdy", "websocket"] as const) {
  describe(`exec, attach and port-forward over ${transport}`, () => {
    it("runs a command and returns stdout, stderr and the exit code", async () => {
      await using world = await streamingWorld({ both });
      const remote = await connectProcess(await world.execUrl(["both"]), { transport });
      const [stdout, stderr] = await Promise.all([text(remote.stdout), text(remote.stderr)]);
      assert.deepEqual([stdout, stderr, await remote.exitCode], ["out\n", "err\n", 7]);
    });

    it("writes all input before it closes stdin, and sends all output before the status", async () => {
      await using world = await streamingWorld({ echo });
      const remote = await connectProcess(await world.execUrl(["echo"], { stdin: true }), {
        transport,
        stdin: true,
      });
      remote.stderr.resume();
      const sent = createHash("md5");
      const writing = (async () => {
        for (let index = 0; index < 64; index++) {
          const chunk = Buffer.alloc(100_000, index);
          sent.update(chunk);
          if (!remote.stdin.write(chunk)) await once(remote.stdin, "drain");
        }
        remote.stdin.end();
      })();
      const received = createHash("md5");
      for await (const chunk of remote.stdout as AsyncIterable<Buffer>) received.update(chunk);
      await writing;
      assert.equal(await remote.exitCode, 0);
      assert.equal(received.digest("hex"), sent.digest("hex"));
    });

    it("sets the size of a terminal, whenever it comes", async () => {
      const sizes = async (process: ContainerProcess) => {
        let changed: () => void = () => undefined;
        process.onSignal("SIGWINCH", () => {
          changed();
        });
        for (let count = 0; count < 2; count++) {
          while (process.terminalSize()?.width !== 100 + count) {
            await Promise.race([new Promise<void>((resolve) => (changed = resolve)), process.sleep(10)]);
          }
          await process.stdout.write(`${process.terminalSize()?.width} ${process.terminalSize()?.height}\n`);
        }
      };
      await using world = await streamingWorld({ sizes });
      const url = await world.execUrl(["sizes"], { tty: true, stderr: false });
      const remote = await connectProcess(url, { transport, tty: true });
      remote.resize({ width: 100, height: 40 });
      const [first] = (await once(remote.stdout, "data")) as [Buffer];
      assert.equal(String(first), "100 40\r\n");
      remote.resize({ width: 101, height: 41 });
      assert.equal(await text(remote.stdout), "101 41\r\n");
      assert.equal(await remote.exitCode, 0);
    });

    it("kills a command and its children when its client disconnects", async () => {
      const ends: string[] = [];
      const silent = async (process: ContainerProcess) => {
        process.signal.addEventListener("abort", () => ends.push("ended"));
        await process.stdout.write("there");
        await process.sleep(Infinity);
      };
      await using world = await streamingWorld({ silent });
      const remote = await connectProcess(await world.execUrl(["silent"]), { transport });
      await once(remote.stdout, "data");
      await remote.close();
      while (ends.length === 0) await delay(5);
      while ((await world.engine.host.files.list("/var/lib/cri-dockerd/streaming/execs")).length > 0)
        await delay(5);
      const { execIds } = await world.engine.containers.inspect(world.containerId);
      assert.deepEqual(execIds, []);
    });

    it("attaches several clients to one container, which outlives them", async () => {
      await using world = await streamingWorld();
      const id = await world.start(echo, { stdin: true });
      const options = { transport, stdin: true };
      const [one, other] = await Promise.all([
        connectProcess(await world.attachUrl(id, { stdin: true }), options),
        connectProcess(await world.attachUrl(id, { stdin: true }), options),
      ]);
      const heard = [one, other].map((client) => {
        let text = "";
        client.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        return () => text;
      });
      // A client that is connected may not be attached yet, and then misses what comes before.
      while (!heard.every((text) => text() !== "")) {
        one.stdin.write("hello");
        await delay(20);
      }
      await one.close();
      other.stdin.write("again");
      while (!heard[1]?.().endsWith("again")) await delay(5);
      for (const text of heard) assert.match(text(), /^(hello)+(again)?$/);
      await other.close();
      const { status } = await world.runtime.containerStatus({ containerId: id });
      assert.equal(status?.state, 1);
    });

    it("detaches from a terminal when the client's input ends, and the container continues", async () => {
      await using world = await streamingWorld();
      const id = await world.start(echo, { stdin: true, tty: true });
      const streams = { stdin: true, stderr: false, tty: true };
      const client = await connectProcess(await world.attachUrl(id, streams), { transport, ...streams });
      client.stdin.write("hello\n");
      await once(client.stdout, "data");
      client.stdin.end();
      client.stdout.resume();
      assert.equal(await client.exitCode, 0);
      assert.equal((await world.runtime.containerStatus({ containerId: id })).status?.state, 1);
    });

    it("forwards ports, many at once, and reports why one is refused", async () => {
      await using world = await streamingWorld();
      await world.start(async (process) => {
        process.listen(8080, (connection) => connection.pipe(connection));
        await process.sleep(Infinity);
      });
      using ports = await connectPortForward(await world.portForwardUrl(), { transport });
      const answers = await Promise.all(
        Array.from({ length: 100 }, async (_, index) => {
          const connection = ports.connect(8080);
          connection.end(`request ${index}`);
          return await text(connection);
        }),
      );
      assert.deepEqual(
        answers,
        Array.from({ length: 100 }, (_, index) => `request ${index}`),
      );
      const refused = ports.connect(9090);
      await assert.rejects(text(refused), /9090.*ECONNREFUSED/);
      const after = ports.connect(8080);
      after.end("still there");
      assert.equal(await text(after), "still there");
    });

    it("reports why a command could not be run, with its exit code", async () => {
      await using world = await streamingWorld();
      const remote = await connectProcess(await world.execUrl(["no-such-program"]), { transport });
      remote.stderr.resume();
      remote.stdout.resume();
      assert.equal(await remote.exitCode, 127);
    });

    it("accepts a URL once, and only for its purpose", async () => {
      await using world = await streamingWorld({ both });
      const url = await world.execUrl(["both"]);
      const options = { transport };
      const wrongKind = url.replace("/exec/", "/attach/");
      await assert.rejects(connectProcess(wrongKind, options), { kind: "not-found" });
      await assert.rejects(connectProcess(`${url}x`, options), { kind: "not-found" });
      const remote = await connectProcess(url, options);
      remote.stdout.resume();
      remote.stderr.resume();
      assert.equal(await remote.exitCode, 7);
      await assert.rejects(connectProcess(url, options), { kind: "not-found" });
    });
  });
}

describe("exec, attach and port-forward in process", () => {
  it("runs a command without a socket", async () => {
    await using world = await streamingWorld({ both, echo });
    await using remote = await world.shim.exec(world.containerId, ["both"]);
    const [stdout, stderr] = await Promise.all([text(remote.stdout), text(remote.stderr)]);
    assert.deepEqual([stdout, stderr, await remote.exitCode], ["out\n", "err\n", 7]);
    await using echoing = await world.shim.exec(world.containerId, ["echo"], { stdin: true });
    echoing.stdin.end("hello");
    echoing.stderr.resume();
    assert.equal(await text(echoing.stdout), "hello");
    assert.equal(await echoing.exitCode, 0);
  });

  it("connects to a port of a pod", async () => {
    await using world = await streamingWorld();
    await world.start(async (process) => {
      process.listen(80, (connection) => connection.pipe(connection));
      await process.sleep(Infinity);
    });
    const connection = await world.shim.portForward(world.podId, 80);
    connection.end("hello");
    assert.equal(await text(connection), "hello");
    await assert.rejects(world.shim.portForward(world.podId, 81), { kind: "unavailable" });
  });

  it("survives a connection to a port that breaks while nobody listens", async () => {
    await using world = await streamingWorld();
    await world.start(async (process) => {
      process.listen(80, (connection) => connection.once("data", () => connection.destroy()));
      await process.sleep(Infinity);
    });
    const connection = await world.shim.portForward(world.podId, 80);
    connection.write("hello");
    await until(() => connection.destroyed);
    await assert.rejects(text(connection));
    assert.ok(connection.errored);
  });
});
