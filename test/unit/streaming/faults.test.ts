import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { connectPortForward, connectProcess } from "../../../src/client/index.js";
import { createShim } from "../../../src/index.js";
import type { ContainerProcess, TestShimOptions } from "../../../src/testing/index.js";
import { streamingWorld, until, untilNothingIsLeft } from "./world.js";

/** A command that runs until it is ended, and how many of it run. */
function runner() {
  const running = { count: 0 };
  const run = async (process: ContainerProcess) => {
    running.count++;
    process.signal.addEventListener("abort", () => running.count--);
    await process.stdout.write("runs");
    await process.sleep(Infinity);
  };
  return { run, running };
}

for (const transport of ["spdy", "websocket"] as const) {
  describe(`streaming over ${transport} while Docker fails`, () => {
    const connect = async (url: string) => {
      const remote = await connectProcess(url, { transport });
      remote.stderr.on("error", () => undefined).resume();
      return remote;
    };

    for (const method of ["execs.create", "execs.start"] as const) {
      it(`reports to the client why ${method} failed, and leaves nothing behind`, async () => {
        const { run, running } = runner();
        await using world = await streamingWorld({ run });
        world.engine.faults.on(method, { error: "unavailable", message: "out of descriptors", times: 1 });
        const remote = await connect(await world.execUrl(["run"]));
        await assert.rejects(text(remote.stdout), /out of descriptors/);
        await assert.rejects(remote.exitCode, /out of descriptors/);
        assert.equal(running.count, 0);
      });
    }

    it("ends a command of which Docker's answer to the start was lost", async () => {
      const { run, running } = runner();
      await using world = await streamingWorld({ run });
      world.engine.faults.on("execs.start", { error: "unavailable", message: "cut", after: true, times: 1 });
      const remote = await connect(await world.execUrl(["run"]));
      await assert.rejects(text(remote.stdout), /cut/);
      await until(() => running.count === 0);
      await untilNothingIsLeft(world);
    });

    it("kills a command whose client disconnects while Docker is slow to start it", async () => {
      const { run, running } = runner();
      await using world = await streamingWorld({ run });
      world.engine.faults.on("execs.start", { delayMs: 200, times: 1 });
      const remote = await connect(await world.execUrl(["run"]));
      await until(() => world.engine.calls.count("execs.start") > 0);
      await remote.close();
      await delay(250);
      await untilNothingIsLeft(world);
      assert.equal(running.count, 0);
    });

    it("ends a session whose connection to Docker breaks, and its command", async () => {
      const { run, running } = runner();
      await using world = await streamingWorld({ run });
      const remote = await connect(await world.execUrl(["run"]));
      await once(remote.stdout, "data");
      world.engine.faults.breakStreams("execs.start");
      await assert.rejects(remote.exitCode);
      await until(() => running.count === 0);
      await untilNothingIsLeft(world);
    });

    it("gives the exit code though Docker does not answer at once", async () => {
      await using world = await streamingWorld({ seven: () => 7 });
      world.engine.faults.on("execs.inspect", { delayMs: 300, times: 1 });
      const remote = await connect(await world.execUrl(["seven"]));
      remote.stdout.resume();
      assert.equal(await remote.exitCode, 7);
    });

    it("reports to the client why an attach failed or broke", async () => {
      await using world = await streamingWorld();
      const { engine } = world;
      const id = await world.start(async (process) => process.sleep(Infinity), { stdin: true });
      engine.faults.on("containers.attach", { error: "unavailable", message: "no answer", times: 1 });
      const failed = await connect(await world.attachUrl(id));
      await assert.rejects(text(failed.stdout), /no answer/);
      const broken = await connect(await world.attachUrl(id));
      await until(() => engine.calls.openStreams("containers.attach") > 0);
      engine.faults.breakStreams("containers.attach");
      await assert.rejects(text(broken.stdout));
      await assert.rejects(broken.exitCode);
      await until(() => engine.calls.openStreams("containers.attach") === 0);
    });

    it("ends every session cleanly when the daemon dies", async () => {
      const { run } = runner();
      await using world = await streamingWorld({ run });
      const remotes = [
        await connect(await world.execUrl(["run"])),
        await connect(await world.attachUrl(world.containerId)),
      ];
      await until(() => world.engine.calls.openStreams("containers.attach") > 0);
      await once(remotes[0]!.stdout, "data");
      await world.engine.stop();
      for (const remote of remotes) await assert.rejects(remote.exitCode);
      await world.engine.start();
    });

    it("reports an unreachable port, and the session continues", async () => {
      await using world = await streamingWorld();
      await world.start(async (process) => {
        process.listen(80, (connection) => connection.pipe(connection));
        await process.sleep(Infinity);
      });
      using ports = await connectPortForward(await world.portForwardUrl(), { transport });
      // Once for each loopback address.
      world.engine.host.faults.on("network.connect", { code: "EMFILE", times: 2 });
      await assert.rejects(text(ports.connect(80).end()), /port 80: .*EMFILE/);
      assert.equal(await text(ports.connect(80).end("still there")), "still there");
    });
  });
}

describe("streaming while the shim is being closed", () => {
  it("opens nothing, on an embedder's server too, and ends what is open", async () => {
    const { run, running } = runner();
    await using world = await streamingWorld({ run });
    const { shim, engine, containerId } = world;
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    shim.streaming.handler({ baseUrl }).attach(server);
    try {
      const late = await world.execUrl(["run"]);
      const remote = await connectProcess(await world.execUrl(["run"]));
      remote.stderr.on("error", () => undefined);
      await once(remote.stdout, "data");
      const opened = await shim.exec(containerId, ["run"]);
      engine.faults.on("execs.start", { delayMs: 100, times: 1 });
      const opening = shim.exec(containerId, ["run"]);
      await until(() => engine.calls.count("execs.start") === 3);
      const closing = shim.close();
      await assert.rejects(connectProcess(late), { kind: "unavailable" });
      await assert.rejects(shim.exec(containerId, ["run"]), { kind: "unavailable" });
      await assert.rejects(shim.streaming.listen(), { kind: "unavailable" });
      await closing;
      for (const process of [remote, opened, await opening]) await assert.rejects(process.exitCode);
      assert.equal(running.count, 0);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});

describe("a process that an embedder runs", () => {
  it("is ended when its connection to Docker breaks", async () => {
    const { run, running } = runner();
    await using world = await streamingWorld({ run });
    const remote = await world.shim.exec(world.containerId, ["run"]);
    await once(remote.stdout, "data");
    world.engine.faults.breakStreams("execs.start");
    await assert.rejects(remote.exitCode, { kind: "unavailable" });
    assert.equal(running.count, 0);
    await untilNothingIsLeft(world);
  });

  it("ends when it is closed, though nobody reads what it says", async () => {
    const chatter = async ({ stdout, sleep }: ContainerProcess) => {
      await stdout.write(Buffer.alloc(1_000_000));
      await sleep(Infinity);
    };
    await using world = await streamingWorld({ chatter });
    const exec = await world.shim.exec(world.containerId, ["chatter"]);
    const id = await world.start(chatter);
    for (const remote of [exec, await world.shim.attach(id)]) {
      await delay(20);
      await remote.close();
      await assert.rejects(remote.exitCode, { kind: "cancelled" });
    }
    await untilNothingIsLeft(world);
  });
});

describe("a command whose shim ends", () => {
  /** A command in an exec of one shim, and the function that starts another shim on the same node. */
  async function commandOf(streaming: TestShimOptions["streaming"]) {
    const { run, running } = runner();
    const world = await streamingWorld({ run });
    const { engine, containerId } = world;
    const startShim = async () => {
      const log = pino({ level: "silent" });
      const options = { log, network: { plugin: "none" }, host: engine.host, streaming } as const;
      const shim = await createShim({ ...options, engine: engine.connect() });
      await shim.start();
      return shim;
    };
    const shim = await startShim();
    await once((await shim.exec(containerId, ["run"])).stdout, "data");
    return { world, running, shim, startShim };
  }

  it("is killed by the next one if this one could not", async () => {
    const { world, running, shim, startShim } = await commandOf({});
    await using _world = world;
    const { faults } = world.engine.host;
    for (const method of ["killTree", "killWhere"]) faults.on(`processes.${method}`, { code: "EPERM" });
    await shim.close();
    assert.equal(running.count, 1);
    faults.clear();
    await using _next = await startShim();
    await until(() => running.count === 0);
    await untilNothingIsLeft(world);
  });

  it("is recorded until a retry has killed it", async () => {
    const { world, running, shim } = await commandOf({});
    await using _world = world;
    const { faults } = world.engine.host;
    for (const method of ["killTree", "killWhere"]) faults.on(`processes.${method}`, { code: "EPERM" });
    const process = await shim.exec(world.containerId, ["run"]);
    await once(process.stdout, "data");
    await process.close();
    assert.equal(running.count, 2);
    faults.clear();
    await until(() => running.count === 1);
    await shim.close();
    await untilNothingIsLeft(world);
  });

  it("runs on after a crash too if it is to run on without its client", async () => {
    const { world, running, shim, startShim } = await commandOf({ keepAbandonedExecs: true });
    await using _world = world;
    await using _next = await startShim();
    await delay(100);
    assert.equal(running.count, 1);
    await shim.close();
  });
});

for (const transport of ["spdy", "websocket"] as const) {
  it(`a client over ${transport} does not wait for the end of a refusal that never ends`, async () => {
    const server = createServer().listen(0, "127.0.0.1");
    server.on("upgrade", (_request, socket) => {
      socket.on("error", () => undefined);
      socket.write("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nno such token\n");
      const timer = setInterval(() => socket.write(Buffer.alloc(100_000, "x")), 1);
      socket.on("close", () => {
        clearInterval(timer);
      });
    });
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    try {
      const refused = connectProcess(url, { transport, deadlineMs: 3_000 });
      await assert.rejects(refused, { kind: "not-found", message: /no such token/ });
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
}
