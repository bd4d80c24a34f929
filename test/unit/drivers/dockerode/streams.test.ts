import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { describe, it } from "node:test";
import type { DockerEvent, LogFrame } from "../../../../src/docker/index.js";
import {
  collect,
  eventually,
  failsWith,
  fakeEngine,
  frame,
  json,
  someId,
  type Answer,
} from "./fake-engine.js";

const event = (action: string, timeNano: number) =>
  `${JSON.stringify({ Type: "container", Action: action, Actor: { ID: someId, Attributes: {} }, timeNano })}\n`;

/** What an unlucky peer does to a stream. */
const reset = (response: ServerResponse) => setTimeout(() => response.socket?.destroy(), 20);

describe("events", () => {
  const following =
    (write: (response: ServerResponse) => void): Answer =>
    (_request, response) => {
      response.writeHead(200).flushHeaders();
      write(response);
    };

  it("are ready with the head, begin where they are asked to, and end quietly with the signal", async (t) => {
    const engine = await fakeEngine(
      t,
      following((response) => {
        setTimeout(() => response.write(event("create", 1) + event("exec_start: sh", 2).slice(0, 20)), 10);
        setTimeout(() => response.write(event("exec_start: sh", 2).slice(20)), 20);
      }),
    );
    const caller = new AbortController();
    const subscription = engine.service.events.subscribe({
      signal: caller.signal,
      sinceNanos: 1_795_470_938_000_000_001n,
    });
    await subscription.ready;
    const asked = new URL(`http://x${engine.asked.at(-1)?.split(" ")[1] ?? ""}`);
    assert.equal(asked.searchParams.get("since"), "1795470938.000000001");
    assert.deepEqual(JSON.parse(asked.searchParams.get("filters") ?? ""), {
      type: ["container", "image", "daemon"],
    });
    const seen: DockerEvent[] = [];
    for await (const each of subscription) {
      seen.push(each);
      if (seen.length === 2) caller.abort();
    }
    assert.deepEqual(
      seen.map(({ action, timeNanos }) => [action, timeNanos]),
      [
        ["create", 1n],
        ["exec_start", 2n],
      ],
    );
    await eventually(() => engine.openConnections() === 0, "the socket is closed");
  });

  it("replay from the moment of asking, since Docker answers before it listens", async (t) => {
    const before = Date.now() / 1000;
    const engine = await fakeEngine(
      t,
      following(() => undefined),
    );
    await engine.service.events.subscribe({}).ready;
    const since = Number(/since=([\d.]+)/.exec(engine.asked.at(-1) ?? "")?.[1]);
    assert.ok(since >= before - 0.001 && since <= Date.now() / 1000, String(since));
  });

  const breaks: readonly (readonly [how: string, write: (response: ServerResponse) => void])[] = [
    ["its end", (response) => setTimeout(() => response.end(), 20)],
    ["a reset", reset],
    [
      "a reset inside a line",
      (response) => {
        response.write('{"Type":"cont');
        reset(response);
      },
    ],
  ];
  for (const [how, write] of breaks)
    it(`are unavailable after ${how}`, async (t) => {
      const engine = await fakeEngine(t, following(write));
      const subscription = engine.service.events.subscribe({});
      await subscription.ready;
      await assert.rejects(collect(subscription), failsWith("unavailable", "events.subscribe"));
    });

  const nonsense = ["not json\n", "7\n", "null\n", `"${"x".repeat(17 * 1024 * 1024)}"\n`];
  for (const line of nonsense)
    it(`are a clear error after ${line.slice(0, 10).trim()}`, async (t) => {
      const engine = await fakeEngine(
        t,
        following((response) => response.write(line)),
      );
      await assert.rejects(
        collect(engine.service.events.subscribe({})),
        failsWith("internal", "is not valid"),
      );
      await eventually(() => engine.openConnections() === 0, "the socket is closed");
    });

  it("that cannot be had fail ready and the iteration alike", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => {
      json(response, { message: "later" }, 503);
    });
    const subscription = engine.service.events.subscribe({});
    await assert.rejects(subscription.ready, failsWith("unavailable", "later"));
    await assert.rejects(collect(subscription), failsWith("unavailable", "later"));
    const unheard = engine.service.events.subscribe({ deadlineMs: 50, signal: AbortSignal.abort() });
    await assert.rejects(unheard.ready, failsWith("cancelled"));
    assert.deepEqual(await collect(unheard), []);
  });

  it("have a deadline for their head only", async (t) => {
    const engine = await fakeEngine(
      t,
      following((response) => setTimeout(() => response.write(event("die", 1)), 600)),
      {
        requestTimeoutMs: 500,
      },
    );
    for await (const each of engine.service.events.subscribe({ deadlineMs: 500 })) {
      assert.equal(each.action, "die");
      break;
    }
    await eventually(() => engine.openConnections() === 0, "the socket is closed");
    const silent = await fakeEngine(t, () => undefined);
    await assert.rejects(
      silent.service.events.subscribe({ deadlineMs: 40 }).ready,
      failsWith("deadline-exceeded"),
    );
  });

  it("without a reader end with the signal or the driver", async (t) => {
    const engine = await fakeEngine(
      t,
      following(() => undefined),
    );
    const caller = new AbortController();
    await engine.service.events.subscribe({ signal: caller.signal }).ready;
    caller.abort();
    await eventually(() => engine.openConnections() === 0, "the socket is closed");
    const unread = engine.service.events.subscribe({});
    await unread.ready;
    const reading = engine.service.events.subscribe({});
    await reading.ready;
    const ended = assert.rejects(collect(reading), failsWith("unavailable", "closed"));
    await engine.service.close();
    await ended;
    await assert.rejects(collect(unread), failsWith("unavailable", "closed"));
    await eventually(() => engine.openConnections() === 0, "the sockets are closed");
  });
});

async function* entriesOf(batches: AsyncIterable<readonly LogFrame[]>): AsyncGenerator<LogFrame> {
  for await (const batch of batches) yield* batch;
}

describe("logs", () => {
  const stamp = "2026-01-02T03:04:05.000000001Z";

  function container(tty: boolean, write: (response: ServerResponse) => void): Answer {
    return (request, response) => {
      if (request.url?.endsWith("/json") === true) json(response, { Id: someId, Config: { Tty: tty } });
      else write(response);
    };
  }
  const texts = (frames: readonly LogFrame[]) =>
    frames.map(({ stream, data }) => `${stream} ${Buffer.from(data).toString()}`);

  it("request the wanted streams, and report the stream of a line", async (t) => {
    const bytes = Buffer.concat([frame(1, `${stamp} a\n`), frame(2, `${stamp} b\n`)]);
    const engine = await fakeEngine(
      t,
      container(false, (response) => response.end(bytes)),
    );
    assert.deepEqual(texts(await collect(entriesOf(engine.service.containers.logs("a")))), [
      "stdout a\n",
      "stderr b\n",
    ]);
    assert.equal(engine.asked.at(-1), "GET /v1.41/containers/a/logs?timestamps=1&stdout=1&stderr=1&follow=0");
    const options = { follow: true, stdout: false, sinceNanos: 1_000_000_002n, tailLines: 0 };
    await collect(entriesOf(engine.service.containers.logs("a", options)));
    assert.equal(
      engine.asked.at(-1),
      "GET /v1.41/containers/a/logs?timestamps=1&stdout=0&stderr=1&follow=1&since=1.000000002&tail=0",
    );
  });

  it("of a terminal have no frames", async (t) => {
    const engine = await fakeEngine(
      t,
      container(true, (response) => response.end(`${stamp} a\r\n${stamp} b`)),
    );
    assert.deepEqual(texts(await collect(entriesOf(engine.service.containers.logs("a")))), [
      "stdout a\r\n",
      "stdout b",
    ]);
  });

  it("keep the output before a break, and report the break", async (t) => {
    for (const broken of [
      reset,
      (response: ServerResponse) => response.end(frame(1, `${stamp} b\n`).subarray(0, 20)),
    ]) {
      const engine = await fakeEngine(
        t,
        container(false, (response) => {
          response.write(frame(1, `${stamp} a\n`));
          broken(response);
        }),
      );
      const seen: LogFrame[] = [];
      await assert.rejects(
        (async () => {
          for await (const each of entriesOf(engine.service.containers.logs("a", { follow: true })))
            seen.push(each);
        })(),
        failsWith("unavailable", "containers.logs"),
      );
      assert.deepEqual(texts(seen), ["stdout a\n"]);
    }
  });

  it("close the connection when the reader leaves, or its signal aborts", async (t) => {
    const engine = await fakeEngine(
      t,
      container(false, (response) => response.write(frame(1, `${stamp} a\n`))),
    );
    for await (const each of entriesOf(engine.service.containers.logs("a", { follow: true }))) {
      assert.deepEqual(texts([each]), ["stdout a\n"]);
      break;
    }
    await eventually(() => engine.openConnections() <= 1, "the stream is closed");
    const caller = new AbortController();
    setTimeout(() => {
      caller.abort();
    }, 30);
    await assert.rejects(
      collect(entriesOf(engine.service.containers.logs("a", { follow: true, signal: caller.signal }))),
      failsWith("cancelled"),
    );
    await eventually(() => engine.openConnections() <= 1, "the stream is closed");
  });

  it("that are followed may be silent; others may not hang", async (t) => {
    const engine = await fakeEngine(
      t,
      container(false, (response) => {
        response.flushHeaders();
        setTimeout(() => response.end(frame(1, `${stamp} late\n`)), 600);
      }),
      { requestTimeoutMs: 500 },
    );
    const { containers } = engine.service;
    assert.deepEqual(texts(await collect(entriesOf(containers.logs("a", { follow: true })))), [
      "stdout late\n",
    ]);
    const hanging = collect(entriesOf(containers.logs("a")));
    await assert.rejects(hanging, failsWith("deadline-exceeded", "nothing came for 500 ms"));
    const limited = collect(entriesOf(containers.logs("a", { follow: true, deadlineMs: 300 })));
    await assert.rejects(limited, failsWith("deadline-exceeded", "300 ms"));
  });

  it("that are garbage are a clear error", async (t) => {
    for (const tty of [true, false]) {
      const engine = await fakeEngine(
        t,
        container(tty, (response) => response.end("garbage, and a lot of it")),
      );
      await assert.rejects(
        collect(entriesOf(engine.service.containers.logs("a"))),
        failsWith("internal", "is not valid"),
      );
    }
  });

  it("cost nothing until they are read", async (t) => {
    const engine = await fakeEngine(
      t,
      container(false, (response) => response.end()),
    );
    engine.service.containers.logs("a");
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(engine.asked, []);
  });

  it("block Docker without a reader", async (t) => {
    let sent = 0;
    const chunk = frame(1, `${stamp} ${"x".repeat(65_000)}\n`);
    const engine = await fakeEngine(
      t,
      container(false, (response) => {
        const more = () => {
          for (let room = true; room && sent < 1000; sent++) room = response.write(chunk);
          if (sent < 1000) response.once("drain", more);
          else response.end();
        };
        more();
      }),
    );
    let count = 0;
    for await (const { data } of entriesOf(engine.service.containers.logs("a"))) {
      if (count++ === 0) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        assert.ok(sent < 100, `${sent} chunks were sent into nowhere`);
      }
      assert.equal(data.length, 65_001);
    }
    assert.equal(count, 1000);
  });
});

describe("a pull", () => {
  const pulling =
    (text: string, then: (response: ServerResponse) => void = (response) => response.end()): Answer =>
    (_request, response) => {
      response.writeHead(200);
      response.write(text);
      then(response);
    };

  it("sends name, tag and credentials, and gives the progress", async (t) => {
    const headers: (string | undefined)[] = [];
    const engine = await fakeEngine(t, (request, response) => {
      headers.push(request.headers["x-registry-auth"]?.toString());
      pulling('{"status":"Pulling from x","id":"1"}\r\n{"aux":{}}\r\n{"status":"Status: done"}\r\n')(
        request,
        response,
      );
    });
    assert.deepEqual(await collect(engine.service.images.pull({ reference: "r.example:5000/a/b" })), [
      { status: "Pulling from x", layer: "1" },
      { status: "Status: done" },
    ]);
    assert.equal(
      engine.asked.at(-1),
      "POST /v1.41/images/create?fromImage=r.example%3A5000%2Fa%2Fb&tag=latest",
    );
    await collect(engine.service.images.pull({ reference: "a", auth: { username: "u", password: "p" } }));
    assert.deepEqual(
      headers.map((header) => JSON.parse(Buffer.from(header ?? "", "base64url").toString()) as unknown),
      [{}, { username: "u", password: "p" }],
    );
  });

  it("fails with the reason in its stream, after the progress before it", async (t) => {
    const error = JSON.stringify({ errorDetail: { message: "manifest unknown" }, error: "x" });
    const engine = await fakeEngine(t, pulling(`{"status":"Pulling"}\n${error}\n`));
    const pull = engine.service.images.pull({ reference: "a" })[Symbol.asyncIterator]();
    assert.deepEqual(await pull.next(), { done: false, value: { status: "Pulling" } });
    await assert.rejects(pull.next(), failsWith("not-found", "images.pull", "manifest unknown"));
  });

  it("fails with an answer that is an error, a break, or garbage", async (t) => {
    const refused = await fakeEngine(t, (_request, response) => {
      json(response, { message: 'Get "https://r/v2/": unauthorized: authentication required' }, 500);
    });
    await assert.rejects(
      collect(refused.service.images.pull({ reference: "a" })),
      failsWith("unauthenticated", "authentication required"),
    );
    const broken = await fakeEngine(t, pulling('{"status":"Pulling"}\n', reset));
    await assert.rejects(collect(broken.service.images.pull({ reference: "a" })), failsWith("unavailable"));
    const odd = await fakeEngine(t, pulling("<html>"));
    await assert.rejects(
      collect(odd.service.images.pull({ reference: "a" })),
      failsWith("internal", "not JSON"),
    );
  });

  it("has no deadline, and ends with its caller's signal or when the loop is left", async (t) => {
    const engine = await fakeEngine(
      t,
      pulling('{"status":"a"}\n', (response) => setTimeout(() => response.end('{"status":"b"}\n'), 600)),
      { requestTimeoutMs: 500 },
    );
    assert.equal((await collect(engine.service.images.pull({ reference: "a" }))).length, 2);
    await assert.rejects(
      collect(engine.service.images.pull({ reference: "a" }, { deadlineMs: 300 })),
      failsWith("deadline-exceeded", "300 ms"),
    );
    for await (const { status } of engine.service.images.pull({ reference: "a" })) {
      assert.equal(status, "a");
      break;
    }
    await eventually(() => engine.openConnections() === 0, "the sockets are closed");
  });
});

describe("resolved mounts", () => {
  it("do not wait for the end of the file that is asked for, whatever is mounted there", async (t) => {
    const engine = await fakeEngine(t, (_request, response) => {
      response.write(Buffer.alloc(100_000));
    });
    await engine.service.containers.resolveMounts("a", { deadlineMs: 5_000 });
  });
});

describe("an export", () => {
  it("comes in chunks, whole, and not at all where Docker refuses", async (t) => {
    const engine = await fakeEngine(t, (request, response) => {
      if (request.url?.includes("/b/") === true) json(response, { message: "No such container: b" }, 404);
      else for (let count = 0; count < 10; count++) response.write(Buffer.alloc(100_000, count));
      response.end();
    });
    const bytes = Buffer.concat(await collect(engine.service.containers.export("a")));
    assert.equal(bytes.length, 1_000_000);
    assert.equal(bytes.at(-1), 9);
    await assert.rejects(
      collect(engine.service.containers.export("b")),
      failsWith("not-found", "containers.export"),
    );
  });
});
