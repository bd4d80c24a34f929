import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, get } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { WebSocket } from "ws";
import { connectProcess, ContainerState } from "../../../src/client/index.js";
import { createHandler } from "../../../src/streaming/http/handler.js";
import { Sessions } from "../../../src/streaming/http/sessions.js";
import { startServer } from "../../../src/streaming/http/server.js";
import { Tokens } from "../../../src/streaming/tokens.js";
import { createMemoryDocker, type ContainerProcess } from "../../../src/testing/index.js";
import { Authority } from "../../wire/support/certificates.js";
import { pino } from "pino";
import { streamingWorld, until, untilNothingIsLeft } from "./world.js";
import { closed } from "../../support/closed.js";

const hello = async (process: ContainerProcess) => {
  await process.stdout.write("hello");
};
const echo = async (process: ContainerProcess) => {
  for await (const chunk of process.stdin) await process.stdout.write(chunk);
};

/** The messages of a WebSocket until it is closed, or the status that it was refused with. */
async function messagesOf(socket: WebSocket): Promise<Buffer[] | number> {
  const messages: Buffer[] = [];
  socket.on("message", (data: Buffer) => messages.push(data));
  return await new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("unexpected-response", (_request, response) => {
      resolve(response.statusCode ?? 0);
    });
    socket.on("close", () => {
      resolve(messages);
    });
  });
}

/** Sends raw bytes, and answers the first line of what comes back. */
async function rawStatus(url: string, headers: readonly string[]): Promise<string> {
  const { hostname, port, pathname } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write([`GET ${pathname} HTTP/1.1`, `Host: ${hostname}:${port}`, ...headers, "", ""].join("\r\n"));
  const [chunk] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return chunk.toString("latin1").split("\r\n")[0] ?? "";
}

describe("streaming on an embedder's own HTTP server", () => {
  it("serves below its prefix, with the embedder's base URL, beside its other paths", async () => {
    await using world = await streamingWorld({ hello });
    const server = createServer((_request, response) => response.end("the agent"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    world.shim.streaming.handler({ prefix: "/runtime/streams", baseUrl }).attach(server);
    try {
      const url = await world.execUrl(["hello"]);
      assert.ok(url.startsWith(`${baseUrl}/runtime/streams/exec/`), url);
      const remote = await connectProcess(url);
      remote.stderr.resume();
      assert.equal(await text(remote.stdout), "hello");
      const [response] = (await once(get(`${baseUrl}/healthz`), "response")) as [NodeJS.ReadableStream];
      assert.equal(await text(response), "the agent");
      const elsewhere = ["Connection: Upgrade", "Upgrade: SPDY/3.1"];
      assert.match(await rawStatus(`${baseUrl}/elsewhere`, elsewhere), / 404 /);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  it("refuses a prefix or a base URL that the kubelet could not use", async () => {
    await using world = await streamingWorld();
    const { streaming } = world.shim;
    assert.throws(() => streaming.handler({ baseUrl: "127.0.0.1:80" }), /absolute http or https URL/);
    assert.throws(() => streaming.handler({ baseUrl: "//127.0.0.1:80" }), /absolute http or https URL/);
    assert.throws(() => streaming.handler({ baseUrl: "http://x", prefix: "cri" }), /begin with a slash/);
  });
});

describe("the streaming server", () => {
  it("hands out absolute URLs on the loopback interface, with 128 random bits", async () => {
    await using world = await streamingWorld();
    assert.match(await world.execUrl(["sh"]), /^http:\/\/127\.0\.0\.1:\d+\/cri\/exec\/[\w-]{22}$/);
    assert.match(
      await world.attachUrl(world.containerId),
      /^http:\/\/127\.0\.0\.1:\d+\/cri\/attach\/[\w-]{22}$/,
    );
    assert.match(await world.portForwardUrl(), /^http:\/\/127\.0\.0\.1:\d+\/cri\/portforward\/[\w-]{22}$/);
  });

  it("answers 404 for tokens of no use, 400 without an upgrade, 403 for subprotocols that are not known", async () => {
    await using world = await streamingWorld({ hello });
    const url = await world.execUrl(["hello"]);
    const upgrade = ["Connection: Upgrade", "Upgrade: SPDY/3.1"];
    assert.match(await rawStatus(url, []), / 400 /);
    assert.match(await rawStatus(`${url}x`, []), / 404 /);
    assert.match(await rawStatus(`${url}x`, upgrade), / 404 /);
    assert.match(await rawStatus(url.replace("/exec/", "/portforward/"), upgrade), / 404 /);
    assert.match(await rawStatus(url, ["Connection: Upgrade", "Upgrade: h2c"]), / 400 /);
    assert.match(await rawStatus(url, upgrade), / 403 /);
    assert.match(await rawStatus(url, [...upgrade, "X-Stream-Protocol-Version: v9.channel.k8s.io"]), / 403 /);
    // None of them has used the token up.
    const remote = await connectProcess(url);
    remote.stderr.resume();
    assert.equal(await text(remote.stdout), "hello");
  });

  it("refuses requests that CRI does not allow", async () => {
    await using world = await streamingWorld();
    await assert.rejects(world.execUrl([]), /cmd is empty/);
    await assert.rejects(world.execUrl(["sh"], { tty: true }), /tty and stderr cannot both be set/);
    await assert.rejects(
      world.execUrl(["sh"], { stdout: false, stderr: false }),
      /one of stdin, stdout and stderr/,
    );
    await assert.rejects(world.portForwardUrl([70_000]), /not a port/);
    await assert.rejects(world.attachUrl("nothing"), /not.?found/i);
    const ended = await world.start(() => 0);
    const isRunning = async () =>
      (await world.runtime.containerStatus({ containerId: ended })).status?.state ===
      ContainerState.CONTAINER_RUNNING;
    await until(async () => !(await isRunning()));
    await assert.rejects(world.attachUrl(ended), /not running/);
  });

  it("keeps pages of strangers out, and lets programs in that come through the API server", async () => {
    await using world = await streamingWorld({ hello });
    const open = async (headers: Readonly<Record<string, string>>) => {
      const url = (await world.execUrl(["hello"])).replace("http", "ws");
      return await messagesOf(new WebSocket(url, "v4.channel.k8s.io", { headers }));
    };
    assert.equal(await open({ origin: "https://stranger.example" }), 403);
    assert.ok(Array.isArray(await open({})));
    assert.ok(Array.isArray(await open({ origin: "https://api:6443", "x-forwarded-for": "10.0.0.1" })));
  });

  for (const [protocol, expected] of [
    ["v4.channel.k8s.io", ["\x01", "\x01hello", '\x03{"metadata":{},"status":"Success"}']],
    ["channel.k8s.io", ["\x01", "\x01hello"]],
    ["base64.channel.k8s.io", ["1", "1aGVsbG8="]],
    [undefined, ["\x01", "\x01hello"]],
  ] as const) {
    it(`speaks ${protocol ?? "WebSocket without a subprotocol"}`, async () => {
      await using world = await streamingWorld({ hello });
      const url = (await world.execUrl(["hello"])).replace("http", "ws");
      const messages = await messagesOf(new WebSocket(url, protocol === undefined ? [] : [protocol]));
      assert.deepEqual(Array.isArray(messages) && messages.map(String), expected);
    });
  }

  it("forwards ports over WebSocket channels, as clients in JavaScript do it", async () => {
    await using world = await streamingWorld();
    await world.start(async (process) => {
      process.listen(8080, (connection) => connection.pipe(connection));
      await process.sleep(Infinity);
    });
    const url = (await world.portForwardUrl([8080])).replace("http", "ws");
    const socket = new WebSocket(url, "v4.channel.k8s.io");
    const messages: string[] = [];
    socket.on("message", (data: Buffer) => {
      messages.push(data.toString("latin1"));
      if (messages.length === 2) socket.send(Buffer.from("\x00ping"));
      if (messages.length === 3) socket.close();
    });
    await closed(socket);
    assert.deepEqual(messages, ["\x00\x90\x1f", "\x01\x90\x1f", "\x00ping"]);
  });

  it("disconnects a client that does not open its streams, and ends its command", async () => {
    const wait = (process: ContainerProcess) => process.sleep(Infinity);
    await using world = await streamingWorld({ wait }, { streaming: { creationTimeoutMs: 100 } });
    const { hostname, port, pathname } = new URL(await world.execUrl(["wait"]));
    const socket = connect(Number(port), hostname);
    const lines = [
      "Connection: Upgrade",
      "Upgrade: SPDY/3.1",
      "X-Stream-Protocol-Version: v4.channel.k8s.io",
    ];
    socket.write([`POST ${pathname} HTTP/1.1`, "Host: x", ...lines, "", ""].join("\r\n"));
    socket.resume();
    await closed(socket);
    await untilNothingIsLeft(world);
  });

  it("ends a session in which nothing is sent for too long", async () => {
    await using world = await streamingWorld({ echo }, { streaming: { idleTimeoutMs: 200 } });
    const remote = await connectProcess(await world.execUrl(["echo"], { stdin: true }), { stdin: true });
    remote.stdout.resume();
    remote.stderr.resume();
    for (let index = 0; index < 4; index++) {
      remote.stdin.write("still here");
      await delay(100);
    }
    const begun = performance.now();
    await assert.rejects(remote.exitCode);
    assert.ok(performance.now() - begun < 2_000);
  });

  it("has at most 1000 requests wait, and forgets them after a minute", () => {
    const target = { kind: "portforward", podId: "pod", ports: [] } as const;
    const tokens = new Tokens({ lifeMs: 60_000, maxUnused: 1_000 });
    const issued = Array.from({ length: 1_000 }, () => tokens.issue(target));
    assert.throws(() => tokens.issue(target), { kind: "resource-exhausted" });
    assert.equal(tokens.find("portforward", issued[0] ?? ""), target);
    assert.equal(tokens.find("exec", issued[0] ?? ""), undefined);
    const brief = new Tokens({ lifeMs: 5, maxUnused: 1 });
    const first = brief.issue(target);
    const end = performance.now() + 10;
    while (performance.now() < end);
    assert.equal(brief.find("portforward", first), undefined);
    assert.ok(brief.issue(target));
  });

  it("limits connections that wait for their upgrade, not sessions", async () => {
    const handler = Object.assign(() => undefined, {
      upgrade: (_request: unknown, socket: Duplex) =>
        socket.on("error", () => undefined).write("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
      attach: () => undefined,
    });
    const { host } = createMemoryDocker();
    const log = pino({ level: "silent" });
    const server = await startServer({ address: "127.0.0.1:0", host, log, maxPending: 2 }, handler);
    const { port } = new URL(server.baseUrl);
    const sockets: Socket[] = [];
    const open = async () => {
      const socket = connect(Number(port), "127.0.0.1");
      sockets.push(socket.on("error", () => undefined));
      await once(socket, "connect");
      return socket;
    };
    try {
      for (let count = 0; count < 3; count++) {
        const socket = await open();
        socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n");
        await Promise.race([once(socket, "data"), closed(socket).then(() => assert.fail("it was closed"))]);
      }
      await open();
      await open();
      await closed((await open()).resume());
    } finally {
      server.close();
      for (const socket of sockets) socket.destroy();
    }
  });

  it("serves TLS, and a new certificate once it is there", async () => {
    const host = createMemoryDocker().host;
    const authority = new Authority("streaming");
    const log = pino({ level: "silent" });
    const write = async (name: string) => {
      const { cert, key } = authority.issue(name);
      await host.files.writeAtomic("/etc/tls.pem", `${cert}\n${key}`);
    };
    await write("first");
    const tokens = new Tokens({ lifeMs: 1_000, maxUnused: 10 });
    const none = () => Promise.reject(new Error("nothing is opened here"));
    const sessions = new Sessions({
      log,
      openProcess: none,
      connectPort: none,
      creationTimeoutMs: 100,
      idleTimeoutMs: 100,
    });
    const options = { address: "127.0.0.1:0", tls: { certFile: "/etc/tls.pem" }, host, log, reloadMs: 20 };
    const server = await startServer(options, createHandler(tokens, sessions, { prefix: "/cri" }));
    try {
      assert.match(server.baseUrl, /^https:/);
      const subject = async () => {
        const { port } = new URL(server.baseUrl);
        const socket = connectTls({ port: Number(port), host: "127.0.0.1", ca: authority.cert });
        await once(socket, "secureConnect");
        const { CN } = socket.getPeerCertificate().subject;
        socket.destroy();
        return CN;
      };
      assert.equal(await subject(), "first");
      await host.files.writeAtomic("/etc/tls.pem", "no certificate");
      await delay(60);
      assert.equal(await subject(), "first");
      await write("second");
      for (const end = Date.now() + 5_000; (await subject()) !== "second";) assert.ok(Date.now() < end);
    } finally {
      server.close();
    }
    await host.files.writeAtomic("/etc/tls.pem", "no certificate");
    await assert.rejects(
      startServer(options, createHandler(tokens, sessions, { prefix: "/cri" })),
      /cannot be used/,
    );
  });
});
