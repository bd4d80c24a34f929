import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { pino } from "pino";
import { ShimError } from "../../../../src/base/index.js";
import type { AttachedStream } from "../../../../src/docker/index.js";
import { createDockerodeService } from "../../../../src/drivers/dockerode/index.js";
import { detachKeys } from "../../../../src/drivers/dockerode/encode/request.js";
import {
  eventually,
  failsWith,
  fakeEngine,
  frame,
  json,
  rawEngine,
  someId,
  type Upgrade,
} from "./fake-engine.js";

const upgraded = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

async function execOn(t: TestContext, upgrade: Upgrade) {
  const engine = await fakeEngine(t, (_request, response) => response.writeHead(400).end(), { upgrade });
  return { engine, start: async (tty = false) => await engine.service.execs.start(someId, { tty }) };
}

async function read(stream: AttachedStream): Promise<{ stdout: string; stderr: string }> {
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const { stream: name, data } of stream.output) parts[name].push(data);
  return { stdout: Buffer.concat(parts.stdout).toString(), stderr: Buffer.concat(parts.stderr).toString() };
}

/** A process that reads nothing, and goes when the driver does. */
function idle(socket: Socket): Socket {
  return socket.resume().on("end", () => socket.end());
}

/** Everything that the driver sends, until it closes its side. */
async function inputOf(socket: Socket): Promise<string> {
  const parts: Buffer[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) parts.push(chunk as Buffer);
  return Buffer.concat(parts).toString();
}

/** The kernel's timer of the open connection from a local port: its kind, and when it fires. */
async function timerOf(port: number): Promise<string> {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = (await readFile("/proc/net/tcp", "utf8")).split("\n").map((line) => line.trim().split(/\s+/));
  return lines.find(([, address = ""]) => address.endsWith(local))?.[5] ?? "";
}

describe("a hijacked connection", () => {
  it("lets a process answer after its stdin was closed", async (t) => {
    const { engine, start } = await execOn(t, (request, socket) => {
      assert.equal(request.headers.upgrade, "tcp");
      assert.equal(request.url, `/v1.41/exec/${someId}/start`);
      socket.write(upgraded);
      void inputOf(socket).then((input) => socket.end(frame(1, `${input.length} bytes`)));
    });
    const stream = await start();
    for (let count = 0; count < 100; count++) await stream.write(Buffer.alloc(10_000, "x"));
    stream.endInput();
    stream.endInput();
    assert.deepEqual(await read(stream), { stdout: "1000000 bytes", stderr: "" });
    await assert.rejects(stream.write(Buffer.from("late")), failsWith("unavailable", "is closed"));
    await eventually(() => engine.openConnections() <= 1, "the connection is closed");
  });

  it("over TCP is probed by the kernel while nothing is sent, and a log's too", async (t) => {
    const server = createHttpServer((request, response) => {
      response.setHeader("Api-Version", "1.41");
      if (request.url?.includes("/logs") === true) response.flushHeaders();
      else response.end("OK");
    });
    server.on("upgrade", (_request, socket: Socket) => socket.on("error", () => undefined).write(upgraded));
    const clients: number[] = [];
    server.on("connection", ({ remotePort = 0 }) => clients.push(remotePort));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const endpoint = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const silent = pino({ level: "silent" });
    const service = createDockerodeService({ endpoint, requestTimeoutMs: 5_000, log: silent });
    t.after(async () => {
      await service.close();
      server.close();
      server.closeAllConnections();
    });
    await service.execs.start(someId, { tty: true });
    const exec = clients.at(-1) ?? 0;
    const log = service.containers.logs(someId, { follow: true, isTerminal: false });
    const entries = log[Symbol.asyncIterator]().next();
    entries.catch(() => undefined);
    await eventually(() => clients.length === 3, "the log is asked for");
    // A timer of the kind 02 is that of keepalive.
    for (const port of [exec, clients.at(-1) ?? 0]) assert.match(await timerOf(port), /^02:/);
  });

  it("refuses input after stdin was closed", async (t) => {
    const { start } = await execOn(t, (_request, socket) => socket.write(upgraded));
    const stream = await start();
    stream.endInput();
    await assert.rejects(
      stream.write(Buffer.from("late")),
      failsWith("failed-precondition", "stdin is closed"),
    );
    stream.destroy();
  });

  it("loses nothing that was glued to the answer's head", async (t) => {
    const { start } = await execOn(t, (_request, socket) => {
      socket.end(Buffer.concat([Buffer.from(upgraded), frame(1, "out"), frame(2, "err"), frame(1, "put")]));
    });
    assert.deepEqual(await read(await start()), { stdout: "output", stderr: "err" });
  });

  it("gives a terminal's bytes as they are", async (t) => {
    const { start } = await execOn(t, (_request, socket) =>
      socket.end(Buffer.concat([Buffer.from(upgraded), frame(1, "x")])),
    );
    assert.deepEqual(await read(await start(true)), { stdout: frame(1, "x").toString(), stderr: "" });
  });

  it("may come with 200 in place of 101, input and half-close included", async (t) => {
    const head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n";
    const { engine, start } = await execOn(t, (_request, socket) => {
      socket.write(Buffer.concat([Buffer.from(head), frame(1, "> ")]));
      void inputOf(socket).then((input) => socket.end(frame(1, input)));
    });
    const stream = await start();
    await stream.write(Buffer.from("question"));
    stream.endInput();
    assert.deepEqual(await read(stream), { stdout: "> question", stderr: "" });
    await eventually(() => engine.openConnections() <= 1, "the connection is closed");
  });

  it("gives Docker's error in place of a stream", async (t) => {
    const body = JSON.stringify({ message: `No such exec instance: ${someId}` });
    const answers = [
      `HTTP/1.1 404 Not Found\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      `HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      `HTTP/1.1 404 Not Found\r\n\r\n${body}`,
    ];
    for (const answer of answers) {
      const { engine, start } = await execOn(t, (_request, socket) => socket.end(answer));
      await assert.rejects(start(), failsWith("not-found", "execs.start", "No such exec instance"));
      await eventually(() => engine.openConnections() <= 1, "the connection is closed");
    }
  });

  const garbage: readonly (readonly [bytes: string, kind: "internal" | "unavailable"])[] = [
    ["not HTTP at all\r\n\r\n", "internal"],
    [`HTTP/1.1 101 X\r\nX: ${"x".repeat(100_000)}`, "internal"],
    ["", "unavailable"],
    ["HTTP/1.1 101", "unavailable"],
  ];
  for (const [bytes, kind] of garbage)
    it(`that begins with ${JSON.stringify(bytes.slice(0, 20))} fails, and is closed`, async (t) => {
      const engine = await rawEngine(t, (socket) => socket.end(bytes));
      await assert.rejects(
        engine.service.execs.start(someId, { tty: false }),
        failsWith(kind, "execs.start"),
      );
      await eventually(() => engine.openConnections() <= 1, "the connection is closed");
    });

  it("that is never answered ends with the deadline or the caller, and is closed", async (t) => {
    const { engine } = await execOn(t, (_request, socket) => idle(socket));
    const { execs } = engine.service;
    await assert.rejects(execs.start(someId, { tty: false, deadlineMs: 40 }), failsWith("deadline-exceeded"));
    const caller = new AbortController();
    setTimeout(() => {
      caller.abort();
    }, 20);
    await assert.rejects(execs.start(someId, { tty: false, signal: caller.signal }), failsWith("cancelled"));
    await eventually(() => engine.openConnections() <= 1, "the connections are closed");
  });

  it("outlives the signal and the deadline of its start", async (t) => {
    const { engine } = await execOn(t, (_request, socket) => {
      socket.write(upgraded);
      setTimeout(() => socket.end(frame(1, "late")), 600);
    });
    const caller = new AbortController();
    const stream = await engine.service.execs.start(someId, {
      tty: false,
      signal: caller.signal,
      deadlineMs: 500,
    });
    caller.abort();
    assert.deepEqual(await read(stream), { stdout: "late", stderr: "" });
  });

  it("blocks Docker without a reader", async (t) => {
    let sent = 0;
    const { start } = await execOn(t, (_request, socket) => {
      socket.write(upgraded);
      const chunk = frame(1, Buffer.alloc(65_528, "x"));
      const more = () => {
        for (let room = true; room && sent < 64 * 1024 * 1024; sent += chunk.length)
          room = socket.write(chunk);
        if (sent < 64 * 1024 * 1024) socket.once("drain", more);
        else socket.end();
      };
      more();
    });
    const stream = await start();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(sent < 4 * 1024 * 1024, `${sent} bytes were sent into nowhere`);
    let bytes = 0;
    for await (const { data } of stream.output) bytes += data.length;
    assert.equal(bytes, (sent / 65_536) * 65_528);
  });

  it("makes a writer wait while the process does not read", async (t) => {
    const { start } = await execOn(t, (_request, socket) => socket.pause().write(upgraded));
    const stream = await start();
    let accepted = 0;
    const writing = (async () => {
      for (;;) {
        await stream.write(Buffer.alloc(65_536));
        accepted++;
      }
    })();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(accepted < 64, `${accepted} chunks were accepted`);
    stream.destroy();
    await assert.rejects(writing, failsWith("unavailable", "is closed"));
  });
});

describe("the end of a hijacked connection", () => {
  it("is quiet when its holder destroys it, before, while and after it is read", async (t) => {
    const { engine, start } = await execOn(t, (_request, socket) =>
      idle(socket).write(Buffer.concat([Buffer.from(upgraded), frame(1, "x")])),
    );
    const unread = await start();
    unread.destroy();
    unread.destroy();
    assert.deepEqual(await read(unread), { stdout: "", stderr: "" });

    const reading = await start();
    setTimeout(() => {
      reading.destroy();
    }, 30);
    assert.deepEqual(await read(reading), { stdout: "x", stderr: "" });
    await eventually(() => engine.openConnections() <= 1, "the connections are closed");
  });

  it("is the holder's error where there is one", async (t) => {
    const { start } = await execOn(t, (_request, socket) => idle(socket).write(upgraded));
    const error = new Error("the client has gone");
    const reading = await start();
    setTimeout(() => {
      reading.destroy(error);
    }, 20);
    await assert.rejects(read(reading), error);

    const unread = await start();
    unread.destroy(error);
    await assert.rejects(read(unread), error);
    await assert.rejects(unread.write(Buffer.from("x")), error);
  });

  it("comes with leaving the loop early", async (t) => {
    const { engine, start } = await execOn(t, (_request, socket) =>
      idle(socket).write(Buffer.concat([Buffer.from(upgraded), frame(1, "x")])),
    );
    for await (const each of (await start()).output) {
      assert.equal(Buffer.from(each.data).toString(), "x");
      break;
    }
    await eventually(() => engine.openConnections() <= 1, "the connection is closed");
  });

  it("in the middle of a frame is a lost connection", async (t) => {
    const { start } = await execOn(t, (_request, socket) => {
      socket.end(Buffer.concat([Buffer.from(upgraded), frame(1, "hello").subarray(0, 10)]));
    });
    await assert.rejects(read(await start()), failsWith("unavailable", "execs.start", "broke off"));
  });

  it("by a reset is a lost connection", async (t) => {
    let docker: Socket | undefined;
    const { start } = await execOn(t, (_request, socket) => {
      docker = socket.pause();
      socket.write(upgraded);
    });
    const stream = await start();
    // What the other side has not read when it closes makes the kernel reset the connection.
    const writing = assert.rejects(stream.write(Buffer.alloc(1024 * 1024)), failsWith("unavailable"));
    docker?.destroy();
    await assert.rejects(read(stream), failsWith("unavailable", "was lost"));
    await writing;
  });

  it("may come at any byte of what Docker sends, while input is written", async (t) => {
    const bytes = Buffer.concat([Buffer.from(upgraded), frame(1, "hello"), frame(2, "world")]);
    let sent = 0;
    const { engine, start } = await execOn(t, (_request, socket) => {
      socket.write(bytes.subarray(0, sent), () => socket.destroy());
    });
    const clear = (error: unknown) => {
      assert.ok(error instanceof ShimError && error.message !== "", String(error));
    };
    const session = async () => {
      const stream = await start();
      const writing = async () => {
        for (;;) await stream.write(Buffer.alloc(10_000));
      };
      await Promise.all([writing().catch(clear), read(stream).catch(clear)]);
    };
    for (sent = 0; sent <= bytes.length; sent += 3) await session().catch(clear);
    await eventually(() => engine.openConnections() <= 1, "the connections are closed");
  });

  it("comes with garbage where a frame belongs", async (t) => {
    const { engine, start } = await execOn(t, (_request, socket) =>
      idle(socket).write(`${upgraded}this is no frame`),
    );
    await assert.rejects(read(await start()), failsWith("internal", "not multiplexed"));
    await eventually(() => engine.openConnections() <= 1, "the connection is closed");
  });

  it("comes with dockerd's own error in the stream", async (t) => {
    const { start } = await execOn(t, (_request, socket) => {
      socket.end(Buffer.concat([Buffer.from(upgraded), frame(3, "No such container: x")]));
    });
    await assert.rejects(read(await start()), failsWith("not-found", "No such container: x"));
  });

  it("comes with the driver's", async (t) => {
    const { engine, start } = await execOn(t, (_request, socket) => idle(socket).write(upgraded));
    const [reading, unread] = [await start(), await start()];
    const ended = assert.rejects(read(reading), failsWith("unavailable", "closed"));
    await engine.service.close();
    await ended;
    await assert.rejects(read(unread), failsWith("unavailable"));
    await assert.rejects(unread.write(Buffer.from("x")), failsWith("unavailable"));
    await eventually(() => engine.openConnections() === 0, "the connections are closed");
  });

  it("lets no one read twice", async (t) => {
    const { start } = await execOn(t, (_request, socket) => socket.end(upgraded));
    const stream = await start();
    await read(stream);
    await assert.rejects(read(stream), failsWith("internal", "read only once"));
  });
});

describe("attach", () => {
  it("asks for the streams that are wanted, of a container that runs", async (t) => {
    const engine = await fakeEngine(
      t,
      (_request, response) => {
        json(response, { Id: someId, State: { Running: true } });
      },
      { upgrade: (_request, socket) => socket.end(Buffer.concat([Buffer.from(upgraded), frame(2, "e")])) },
    );
    const options = { stdin: true, stdout: false, stderr: true, tty: false };
    assert.deepEqual(await read(await engine.service.containers.attach("a", options)), {
      stdout: "",
      stderr: "e",
    });
    assert.equal(
      engine.asked.at(-1),
      `POST /v1.41/containers/a/attach?stream=1&stdin=1&stdout=0&stderr=1&detachKeys=${encodeURIComponent(detachKeys)}`,
    );
  });

  it("is a conflict where Docker would wait for a start", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => {
      json(response, { Id: someId, State: { Status: "exited", Running: false } });
    });
    await assert.rejects(
      engine.service.containers.attach("a", { stdin: false, stdout: true, stderr: true, tty: false }),
      failsWith("conflict", "containers.attach", "exited"),
    );
  });
});
