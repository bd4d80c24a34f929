import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { pino } from "pino";
import { serveMetrics, type MetricsServerOptions } from "../../../src/observability/metrics-server.js";

async function open(options: Partial<MetricsServerOptions> = {}) {
  const server = await serveMetrics({
    address: "127.0.0.1:0",
    contentType: "text/plain; version=0.0.4",
    read: () => Promise.resolve("up 1\n"),
    log: pino({ level: "silent" }),
    ...options,
  });
  return Object.assign(server, {
    [Symbol.dispose]: () => {
      server.close();
    },
  });
}

async function raw(url: string, text: string): Promise<{ socket: Socket; answer: Promise<string> }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  let answer = "";
  socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
  const closed = new Promise<string>((resolve) => {
    socket
      .on("error", () => undefined)
      .on("close", () => {
        resolve(answer);
      });
  });
  socket.write(text);
  return { socket, answer: closed };
}

describe("the server of metrics", () => {
  it("answers GET and HEAD at /metrics, and refuses the rest", async () => {
    using server = await open();
    const answer = await fetch(server.url);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4");
    assert.equal(await answer.text(), "up 1\n");
    assert.equal((await fetch(`${server.url}?name[]=x`)).status, 200);
    const head = await fetch(server.url, { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
    for (const path of ["/", "/metrics/", "/debug/pprof", "/METRICS", "/metrics%2f"])
      assert.equal((await fetch(new URL(path, server.url))).status, 404, path);
    const posted = await fetch(server.url, { method: "POST", body: "x" });
    assert.deepEqual([posted.status, posted.headers.get("allow")], [405, "GET, HEAD"]);
  });

  it("refuses huge headers and anything but HTTP, and keeps serving", async () => {
    using server = await open();
    const huge = await raw(
      server.url,
      `GET /metrics HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(20_000)}\r\n\r\n`,
    );
    assert.match(await huge.answer, /^(HTTP\/1\.1 431 |$)/);
    const none = await raw(server.url, "\x16\x03\x01 no http\r\n\r\n");
    assert.match(await none.answer, /^(HTTP\/1\.1 400 |$)/);
    assert.equal((await fetch(server.url)).status, 200);
  });

  it("drops a scraper that does not take its answer", async () => {
    const read = () => Promise.resolve("x".repeat(50_000_000));
    using server = await open({ scrapeMs: 200, read });
    const { socket, answer } = await raw(server.url, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    socket.pause();
    setTimeout(() => socket.resume(), 600);
    assert.ok((await answer).length < 50_000_000);
  });

  it("reads the metrics once for a connection, however many requests it sends", async () => {
    let reads = 0;
    const read = () => Promise.resolve(`up ${++reads}\n`);
    using server = await open({ read });
    const { answer } = await raw(server.url, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000));
    assert.match(await answer, /^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n[^]*up 1\n/);
    assert.equal(reads, 1);
    const posted = await fetch(server.url, { method: "POST", body: "x".repeat(1_000_000) });
    assert.deepEqual([posted.status, posted.headers.get("connection")], [405, "close"]);
  });

  it("closes the connection of a failed scrape, and serves the next", async () => {
    let fails = true;
    const read = () => (fails ? Promise.reject(new Error("broken")) : Promise.resolve("up 1\n"));
    using server = await open({ read });
    await assert.rejects(fetch(server.url));
    fails = false;
    assert.equal((await fetch(server.url)).status, 200);
  });

  it("reports the address that it cannot listen on", async () => {
    using server = await open();
    const { host } = new URL(server.url);
    await assert.rejects(open({ address: host }), {
      kind: "already-exists",
      message: new RegExp(`metrics: cannot listen on ${host}`),
    });
    await assert.rejects(open({ address: "192.0.2.1:1" }), { kind: "failed-precondition" });
  });
});
