import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pino } from "pino";
import { ShimError } from "../../../../src/base/index.js";
import { createDockerodeService } from "../../../../src/drivers/dockerode/index.js";
import { eventually, failsWith, fakeEngine, json, rawEngine, someId } from "./fake-engine.js";

const silent = pino({ level: "silent" });
const least = { Id: someId };

describe("the API's version", () => {
  it("is negotiated once, and is part of every path", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => {
      json(response, []);
    });
    await Promise.all([1, 2, 3].map(async () => await engine.service.containers.list()));
    await engine.service.images.list();
    assert.deepEqual(await engine.service.system.apiVersion(), [1, 41]);
    assert.equal(engine.asked.filter((each) => each.includes("_ping")).length, 1);
    assert.ok(engine.asked.includes("GET /v1.41/images/json"));
    assert.ok(engine.asked.includes("GET /v1.41/containers/json?all=1"));
  });

  it("is ours with a newer engine that still speaks it", async (t) => {
    const answer = { ApiVersion: "1.60", MinAPIVersion: "1.44" };
    const engine = await fakeEngine(
      t,
      (_request, response) => {
        json(response, answer);
      },
      { apiVersion: "1.60" },
    );
    assert.deepEqual(await engine.service.system.apiVersion(), [1, 48]);
    assert.deepEqual(engine.asked, ["GET /_ping", "GET /version"]);
  });

  it("is refused with both version ranges when they do not overlap", async (t) => {
    const old = await fakeEngine(
      t,
      (_request, response) => {
        json(response, []);
      },
      { apiVersion: "1.40" },
    );
    const wanted = failsWith(
      "unsupported",
      "up to 1.40",
      "1.41 to 1.48",
      "use Docker 20.10 or newer",
      "containers.list",
    );
    await assert.rejects(old.service.containers.list(), wanted);
    const answer = { MinAPIVersion: "1.50" };
    const tooNew = await fakeEngine(
      t,
      (_request, response) => {
        json(response, answer);
      },
      { apiVersion: "1.60" },
    );
    await assert.rejects(
      tooNew.service.containers.list(),
      failsWith("unsupported", "1.50 to 1.60", "1.41 to 1.48"),
    );
  });

  it("must be there", async (t) => {
    for (const apiVersion of [null, "", "one", "1.41, 1.42"]) {
      const engine = await fakeEngine(
        t,
        (_request, response) => {
          json(response, []);
        },
        { apiVersion },
      );
      await assert.rejects(engine.service.containers.list(), failsWith("internal", "names no API version"));
    }
  });

  it("is asked for again once Docker was away", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => {
      json(response, []);
    });
    await engine.service.containers.list();
    await engine.stop();
    await assert.rejects(
      engine.service.containers.list(),
      failsWith("unavailable", engine.endpoint, "start Docker"),
    );
    await engine.listen();
    await engine.service.containers.list();
    assert.equal(engine.asked.filter((each) => each.includes("_ping")).length, 2);
  });

  it("is asked for again when Docker was restarted between two calls", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => {
      json(response, []);
    });
    await engine.service.containers.list();
    await engine.stop();
    await engine.listen();
    await engine.service.containers.list();
    assert.deepEqual(engine.asked, Array(2).fill(["GET /_ping", "GET /v1.41/containers/json?all=1"]).flat());
  });

  it("is asked for again once an engine refused it", async (t) => {
    let refuse = true;
    const engine = await fakeEngine(t, (_request, response) => {
      if (refuse) json(response, { message: "client version 1.41 is too old. Minimum is 1.44" }, 400);
      else json(response, []);
      refuse = false;
    });
    await assert.rejects(engine.service.containers.list(), failsWith("unsupported"));
    await engine.service.containers.list();
    assert.equal(engine.asked.filter((each) => each.includes("_ping")).length, 2);
  });

  it("is asked for by each call while it cannot be had", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => {
      json(response, []);
    });
    await engine.stop();
    for (let count = 0; count < 2; count++)
      await assert.rejects(engine.service.system.apiVersion(), failsWith("unavailable"));
    await engine.listen();
    assert.deepEqual(await engine.service.system.apiVersion(), [1, 41]);
  });
});

describe("a deadline", () => {
  it("ends a call that Docker does not answer, and closes its socket", async (t) => {
    const engine = await fakeEngine(t, () => undefined);
    await engine.service.system.apiVersion();
    await assert.rejects(
      engine.service.containers.inspect("x", { deadlineMs: 50 }),
      failsWith("deadline-exceeded", "containers.inspect", "50 ms"),
    );
    await eventually(() => engine.openConnections() === 0, "the socket is closed");
  });

  it("is the driver's when the caller sets no deadline", async (t) => {
    const engine = await fakeEngine(t, () => undefined, { requestTimeoutMs: 500 });
    await assert.rejects(engine.service.images.list(), failsWith("deadline-exceeded", "500 ms"));
    await assert.rejects(engine.service.containers.start("x"), failsWith("deadline-exceeded", "500 ms"));
  });

  it("is grace and 30 s for a stop", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const engine = await fakeEngine(t, () => undefined, { requestTimeoutMs: 1000 });
    const stopping = assert.rejects(
      engine.service.containers.stop("x", { graceSeconds: 2 }),
      failsWith("deadline-exceeded", "32000 ms"),
    );
    t.mock.timers.tick(31_999);
    t.mock.timers.tick(1);
    await stopping;
  });

  it("covers an answer that stops in the middle", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => {
      response.writeHead(200).write('[{"Id":');
    });
    await engine.service.system.apiVersion();
    await assert.rejects(
      engine.service.containers.list({}, { deadlineMs: 50 }),
      failsWith("deadline-exceeded", "containers.list"),
    );
    await eventually(() => engine.openConnections() === 0, "the socket is closed");
  });

  it("covers an error answer that never ends", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => {
      response.writeHead(500).write("half an err");
    });
    await assert.rejects(engine.service.images.list({ deadlineMs: 50 }), failsWith("deadline-exceeded"));
  });

  it("of a ping that hangs is not the caller's: Docker is unavailable", async (t) => {
    const options = { requestTimeoutMs: 80, pings: false };
    const engine = await rawEngine(t, () => undefined, options);
    await assert.rejects(
      engine.service.containers.list({}, { deadlineMs: 5000 }),
      failsWith("unavailable", "containers.list", "did not answer"),
    );
  });
});

describe("an abort", () => {
  it("ends a call at once, as cancelled or with the signal's reason", async (t) => {
    const engine = await fakeEngine(t, () => undefined);
    const caller = new AbortController();
    const waiting = assert.rejects(
      engine.service.containers.inspect("x", { signal: caller.signal }),
      failsWith("cancelled", "containers.inspect"),
    );
    await eventually(() => engine.asked.length === 2, "it was asked");
    caller.abort();
    await waiting;
    await eventually(() => engine.openConnections() === 0, "the socket is closed");
    const reason = new ShimError("deadline-exceeded", "the kubelet has waited long enough");
    await assert.rejects(
      engine.service.containers.inspect("x", { signal: AbortSignal.abort(reason) }),
      (error) => error === reason,
    );
  });

  it("sends no request when the signal was aborted before the call", async (t) => {
    const engine = await fakeEngine(t, () => undefined);
    await assert.rejects(engine.service.images.list({ signal: AbortSignal.abort() }), failsWith("cancelled"));
    assert.deepEqual(engine.asked, []);
  });

  it("does not abort a create that was sent, and starts no new one", async (t) => {
    const caller = new AbortController();
    const engine = await fakeEngine(t, (_request, response) => {
      caller.abort();
      setTimeout(() => {
        json(response, { Id: someId, Warnings: null }, 201);
      }, 30);
    });
    const spec = { name: "a", config: {}, host: {} };
    assert.deepEqual(await engine.service.containers.create(spec, { signal: caller.signal }), {
      id: someId,
      warnings: [],
    });
    await assert.rejects(
      engine.service.containers.create(spec, { signal: caller.signal }),
      failsWith("cancelled"),
    );
    assert.equal(engine.asked.filter((each) => each.includes("create")).length, 1);
  });

  it("of one signal under many calls leaves no listener, no socket and no warning", async (t) => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on("warning", onWarning);
    t.after(() => process.off("warning", onWarning));
    const engine = await fakeEngine(t, (request, response) => {
      if (request.url?.includes("images") === true) json(response, []);
    });
    await engine.service.images.list();
    const caller = new AbortController();
    const calls = Array.from({ length: 50 }, async (_, index) =>
      assert.rejects(
        index % 2 === 0
          ? engine.service.containers.inspect("x", { signal: caller.signal })
          : engine.service.containers.inspect("x", { deadlineMs: 1_000 }),
        failsWith(index % 2 === 0 ? "cancelled" : "deadline-exceeded"),
      ),
    );
    await eventually(() => engine.asked.length > 50, "all were asked");
    caller.abort();
    await Promise.all(calls);
    await eventually(() => engine.openConnections() === 0, "every socket is closed");
    await engine.service.images.list();
    assert.equal(engine.openConnections(), 1);
    assert.deepEqual(warnings, []);
  });
});

describe("an answer", () => {
  const wrong: readonly (readonly [body: string, said: string])[] = [
    ["{", "not JSON"],
    ["", "not JSON"],
    ["null", "not an object"],
    ["[]", "not an object"],
    ['"text"', "not an object"],
    ['{"Id":7}', "no id"],
    ['{"Id":"../../x"}', "no id"],
  ];
  for (const [body, said] of wrong)
    it(`of ${JSON.stringify(body)} is a clear error`, async (t) => {
      const engine = await fakeEngine(t, (_request, response) => response.end(body));
      await assert.rejects(
        engine.service.containers.inspect("x"),
        failsWith("internal", "containers.inspect", "is not valid", said, engine.endpoint),
      );
    });

  it("is not read when its announced length is over the limit", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => {
      response.writeHead(200, { "Content-Length": 300_000_000 }).write("[");
    });
    await assert.rejects(engine.service.images.list(), failsWith("internal", "longer than 268435456 bytes"));
    await eventually(() => engine.openConnections() === 0, "the socket is closed");
  });

  it("that is an error has Docker's text, or that of a proxy", async (t) => {
    const engine = await fakeEngine(t, (request, response) => {
      if (request.url?.endsWith("/a/json") === true) json(response, { message: "No such container: a" }, 404);
      else if (request.url?.endsWith("/b/json") === true) response.writeHead(503).end("<html>later</html>");
      else response.writeHead(500).end(JSON.stringify({ message: 7 }));
    });
    const { containers } = engine.service;
    await assert.rejects(containers.inspect("a"), failsWith("not-found", "No such container: a"));
    await assert.rejects(containers.inspect("b"), failsWith("unavailable", "<html>later</html>"));
    await assert.rejects(containers.inspect("c"), failsWith("internal", "answered 500"));
  });

  it("is truncated when it is an endless error", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => {
      response.writeHead(500);
      const more = () => {
        if (!response.destroyed) response.write(Buffer.alloc(65_536, "x"), more);
      };
      more();
    });
    await assert.rejects(engine.service.images.list(), failsWith("internal", "xxx…"));
    await eventually(() => engine.openConnections() === 0, "the socket is closed");
  });

  it("that was reset in the middle is a lost connection, and the next call works", async (t) => {
    let broken = true;
    const engine = await fakeEngine(t, (_request, response) => {
      if (!broken) {
        json(response, least);
        return;
      }
      broken = false;
      response.writeHead(200, { "Content-Length": 1000 }).write('{"Id":');
      setTimeout(() => response.socket?.destroy(), 10);
    });
    await assert.rejects(engine.service.containers.inspect("x"), failsWith("unavailable", "was lost"));
    assert.equal((await engine.service.containers.inspect("x")).id, someId);
  });

  it("that never began is a lost connection", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => response.socket?.destroy());
    await assert.rejects(engine.service.containers.start("x"), failsWith("unavailable", "was lost"));
  });

  const garbage: readonly (readonly [bytes: string, what: string])[] = [
    ["SSH-2.0-OpenSSH_9.2\r\n", "another protocol"],
    ["HTTP/1.1 two hundred\r\n\r\n", "a broken status line"],
    [`HTTP/1.1 200 OK\r\nX: ${"x".repeat(100_000)}\r\n\r\n`, "an endless head"],
  ];
  for (const [bytes, what] of garbage)
    it(`that is ${what} is an error, and the process lives`, async (t) => {
      const engine = await rawEngine(t, (socket) => socket.write(bytes));
      await assert.rejects(engine.service.containers.list(), failsWith("internal", "does not speak HTTP"));
      await eventually(() => engine.openConnections() === 0, "the socket is closed");
    });

  it("with broken chunks is a lost connection", async (t) => {
    const bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot-a-size\r\n";
    const engine = await rawEngine(t, (socket) => socket.write(bytes));
    await assert.rejects(engine.service.containers.list(), failsWith("unavailable", "was lost"));
  });

  it("may come in any pieces", async (t) => {
    const bytes = `HTTP/1.1 200 OK\r\nContent-Length: 73\r\n\r\n${JSON.stringify(least)} `;
    const engine = await rawEngine(t, (socket) => {
      void (async () => {
        for (const byte of Buffer.from(bytes)) {
          socket.write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
    });
    assert.equal((await engine.service.containers.inspect("x")).id, someId);
  });
});

describe("a connection", () => {
  it("is kept for the next call", async (t) => {
    const ports = new Set<unknown>();
    const engine = await fakeEngine(t, (request, response) => {
      ports.add(request.socket);
      json(response, []);
    });
    for (let count = 0; count < 20; count++) await engine.service.images.list();
    assert.equal(ports.size, 1);
    assert.equal(engine.openConnections(), 1);
  });

  it("that cannot be made names the endpoint", async (t) => {
    const service = createDockerodeService({
      endpoint: "unix:///nonexistent/docker.sock",
      requestTimeoutMs: 1000,
      log: silent,
    });
    t.after(async () => {
      await service.close();
    });
    await assert.rejects(
      service.containers.list(),
      failsWith("unavailable", "unix:///nonexistent/docker.sock", "ENOENT", "start Docker"),
    );
    await assert.rejects(service.system.ping(), failsWith("unavailable", "system.ping"));
  });

  it("over TCP works as well, IPv6 too", async (t) => {
    const { createServer } = await import("node:http");
    for (const host of ["127.0.0.1", "::1"]) {
      const server = createServer((request, response) => {
        response.setHeader("Api-Version", "1.44").end(request.url === "/_ping" ? "OK" : "[]");
      });
      await new Promise<void>((resolve) => server.listen(0, host, resolve));
      const address = server.address();
      assert.ok(typeof address === "object" && address !== null);
      const shown = host === "::1" ? "[::1]" : host;
      const service = createDockerodeService({
        endpoint: `tcp://${shown}:${address.port}`,
        requestTimeoutMs: 2000,
        log: silent,
      });
      t.after(async () => {
        await service.close();
        await new Promise((resolve) => server.close(resolve));
      });
      assert.deepEqual(await service.containers.list(), []);
      assert.deepEqual(await service.system.apiVersion(), [1, 44]);
    }
  });

  it("uses the configured endpoint, not DOCKER_HOST", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => {
      json(response, []);
    });
    const before = process.env["DOCKER_HOST"];
    t.after(() => {
      if (before === undefined) delete process.env["DOCKER_HOST"];
      else process.env["DOCKER_HOST"] = before;
    });
    process.env["DOCKER_HOST"] = "tcp://nowhere.invalid:1";
    const service = createDockerodeService({
      endpoint: engine.endpoint,
      requestTimeoutMs: 1000,
      log: silent,
    });
    t.after(async () => {
      await service.close();
    });
    assert.deepEqual(await service.images.list(), []);
    process.env["DOCKER_HOST"] = "tcp://:not a host";
    assert.throws(
      () => createDockerodeService({ endpoint: engine.endpoint, requestTimeoutMs: 1000, log: silent }),
      failsWith("invalid-argument", "DOCKER_HOST", "unset"),
    );
  });

  it("is not opened to an endpoint that cannot be read", () => {
    for (const endpoint of ["", "/var/run/docker.sock", "unix://relative", "http://x:1", "tcp://x"])
      assert.throws(
        () => createDockerodeService({ endpoint, requestTimeoutMs: 1000, log: silent }),
        failsWith("invalid-argument", endpoint),
      );
  });
});

describe("close", () => {
  it("ends calls under way with unavailable, and all that comes after", async (t) => {
    const engine = await fakeEngine(t, () => undefined);
    const waiting = [
      assert.rejects(engine.service.images.list(), failsWith("unavailable", "closed")),
      assert.rejects(engine.service.containers.start("x"), failsWith("unavailable", "closed")),
      assert.rejects(
        engine.service.containers.create({ name: "a", config: {}, host: {} }),
        failsWith("unavailable", "closed"),
      ),
    ];
    await eventually(() => engine.asked.length >= 4, "all were asked");
    await engine.service.close();
    await Promise.all(waiting);
    await eventually(() => engine.openConnections() === 0, "every socket is closed");
    await assert.rejects(engine.service.images.list(), failsWith("unavailable", "closed"));
    assert.throws(() => engine.service.events.subscribe({}), failsWith("unavailable", "closed"));
    await engine.service.close();
  });

  it("closes idle connections", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => {
      json(response, []);
    });
    await engine.service.images.list();
    assert.equal(engine.openConnections(), 1);
    await engine.service.close();
    await eventually(() => engine.openConnections() === 0, "the socket is closed");
  });
});
