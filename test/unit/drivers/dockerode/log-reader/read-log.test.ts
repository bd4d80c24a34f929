import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isKind, ShimError } from "../../../../../src/base/index.js";
import type { LogFrame } from "../../../../../src/docker/index.js";
import {
  collect,
  eventually,
  failsWith,
  fakeEngine,
  frame,
  json,
  rawEngine,
  someId,
  type Answer,
} from "../fake-engine.js";

const stamp = "2026-01-02T03:04:05.000000001Z";
const entry = (text: string) => frame(1, `${stamp} ${text}`);
const texts = (entries: readonly LogFrame[]) => entries.map(({ data }) => Buffer.from(data).toString());

/** A batch is good until the next is asked for, its entries for longer. */
async function* entriesOf(batches: AsyncIterable<readonly LogFrame[]>): AsyncGenerator<LogFrame> {
  for await (const batch of batches) yield* batch;
}

function container(write: (response: ServerResponse) => void, tty = false): Answer {
  return (request, response) => {
    if (request.url?.endsWith("/json") === true) json(response, { Id: someId, Config: { Tty: tty } });
    else write(response);
  };
}

function inspected(): string {
  const body = JSON.stringify({ Id: someId, Config: { Tty: false } });
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** Reads until the end or an error, and gives what came before it. */
async function read(
  batches: AsyncIterable<readonly LogFrame[]>,
): Promise<{ texts: string[]; error: unknown }> {
  const seen: LogFrame[] = [];
  try {
    for await (const entry of entriesOf(batches)) seen.push(entry);
    return { texts: texts(seen), error: undefined };
  } catch (error) {
    return { texts: texts(seen), error };
  }
}

describe("a log in batches", () => {
  it("ends with its answer, whichever way that has an end", async (t) => {
    const chunked = await fakeEngine(
      t,
      container((response) => {
        response.write(entry("a\n"));
        response.end(entry("b\n"));
      }),
    );
    assert.deepEqual(texts(await collect(entriesOf(chunked.service.containers.logs("a")))), ["a\n", "b\n"]);
    const raw = await rawEngine(t, (socket, head) => {
      if (head.includes("/json ")) socket.write(inspected());
      else socket.end(Buffer.concat([Buffer.from("HTTP/1.0 200 OK\r\n\r\n"), entry("a\n")]));
    });
    assert.deepEqual(texts(await collect(entriesOf(raw.service.containers.logs("a")))), ["a\n"]);
    await eventually(() => raw.openConnections() <= 1, "the connection is closed");
  });

  it("asks for nothing else when it is known whether there is a terminal", async (t) => {
    for (const isTerminal of [false, true]) {
      const asked: string[] = [];
      const engine = await fakeEngine(t, (request, response) => {
        asked.push(request.url ?? "");
        response.end(isTerminal ? `${stamp} a\n` : entry("a\n"));
      });
      const entries = await collect(entriesOf(engine.service.containers.logs("a", { isTerminal })));
      assert.deepEqual(texts(entries), ["a\n"]);
      assert.deepEqual(
        asked.map((url) => url.replace(/.*containers/, "").replace(/\?.*/, "")),
        ["/a/logs"],
      );
    }
  });

  it("that stops between two entries did not end: Docker was killed", async (t) => {
    const engine = await rawEngine(t, (socket, head) => {
      if (head.includes("/json ")) {
        socket.write(inspected());
        return;
      }
      const bytes = entry("a\n");
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      socket.write(
        Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]),
      );
      setTimeout(() => socket.end(), 20);
    });
    const { texts: seen, error } = await read(engine.service.containers.logs("a"));
    assert.deepEqual(seen, ["a\n"]);
    assert.ok(isKind(error, "unavailable"), String(error));
  });

  it("waits for more after the size of a chunk", async (t) => {
    const bytes = entry("a\n");
    const pieces = [
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`,
      bytes.length.toString(16),
      "\r\n",
      Buffer.concat([bytes, Buffer.from("\r\n")]),
      "0\r\n",
      "\r\n",
    ];
    const engine = await rawEngine(t, (socket, head) => {
      if (head.includes("/json ")) {
        socket.write(inspected());
        return;
      }
      pieces.forEach((piece, index) => setTimeout(() => socket.write(piece), index * 10));
    });
    const { texts: seen, error } = await read(engine.service.containers.logs("a"));
    assert.deepEqual([seen, error], [["a\n"], undefined]);
  });

  it("keeps its entries good when the next have come", async (t) => {
    const engine = await fakeEngine(
      t,
      container((response) => {
        response.write(entry("a\n"));
        setTimeout(() => response.end(entry("b\n")), 20);
      }),
    );
    const kept: (LogFrame | undefined)[] = [];
    for await (const batch of engine.service.containers.logs("a")) kept.push(batch.at(-1));
    assert.deepEqual(texts(kept.filter((each) => each !== undefined)), ["a\n", "b\n"]);
  });

  it("delivers the entries before an error", async (t) => {
    const engine = await fakeEngine(
      t,
      container((response) => response.end(Buffer.concat([entry("a\n"), frame(3, "the disk is gone")]))),
    );
    const { texts: seen, error } = await read(engine.service.containers.logs("a"));
    assert.deepEqual(seen, ["a\n"]);
    assert.match(String(error), /the disk is gone/);
  });

  it("distinguishes Docker's error answers", async (t) => {
    const engine = await fakeEngine(
      t,
      container((response) => {
        json(response, { message: "No such container: a" }, 404);
      }),
    );
    await assert.rejects(collect(engine.service.containers.logs("a")), failsWith("not-found", "No such"));
  });

  it("is cut off by its signal and its deadline, and when the reader leaves", async (t) => {
    const engine = await fakeEngine(
      t,
      container((response) => response.write(entry("a\n"))),
    );
    const { containers } = engine.service;
    const caller = new AbortController();
    setTimeout(() => {
      caller.abort();
    }, 30);
    const signalled = collect(containers.logs("a", { follow: true, signal: caller.signal }));
    await assert.rejects(signalled, failsWith("cancelled"));
    const late = collect(containers.logs("a", { follow: true, deadlineMs: 60 }));
    await assert.rejects(late, failsWith("deadline-exceeded", "60 ms"));
    for await (const batch of containers.logs("a", { follow: true })) {
      assert.deepEqual(texts(batch), ["a\n"]);
      break;
    }
    await eventually(() => engine.openConnections() <= 1, "the connections are closed");
  });

  it("blocks Docker without a reader", async (t) => {
    let sent = 0;
    const bytes = entry(`${"x".repeat(65_000)}\n`);
    const engine = await fakeEngine(
      t,
      container((response) => {
        const more = () => {
          for (let room = true; room && sent < 300; sent++) room = response.write(bytes);
          if (sent < 300) response.once("drain", more);
          else response.end();
        };
        more();
      }),
    );
    let count = 0;
    for await (const batch of engine.service.containers.logs("a")) {
      if (count === 0) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        assert.ok(sent < 30, `${sent} entries were sent into nowhere`);
      }
      count += batch.length;
    }
    assert.equal(count, 300);
  });

  it("batches slow output, until it is urgent", async (t) => {
    const lines = 60;
    const trickle = container((response) => {
      let sent = 0;
      const timer = setInterval(() => {
        response.write(entry(`${sent}\n`));
        if (++sent < lines) return;
        clearInterval(timer);
        response.end();
      }, 4);
    });
    const engine = await fakeEngine(t, trickle);
    const count = async (gatherUntil?: AbortSignal) => {
      const options = { follow: true, ...(gatherUntil ? { gatherUntil } : {}) };
      let batches = 0;
      let entries = 0;
      for await (const batch of engine.service.containers.logs("a", options)) {
        batches++;
        entries += batch.length;
      }
      assert.equal(entries, lines);
      return batches;
    };
    assert.ok((await count(new AbortController().signal)) < 10);
    assert.ok((await count(AbortSignal.abort())) > 20);
    assert.ok((await count()) > 20);
  });

  it("is whole or a clear error, whatever bytes an engine sends", async (t) => {
    let answer = Buffer.alloc(0);
    const engine = await rawEngine(t, (socket, head) => {
      if (head.includes("/json ")) socket.write(inspected());
      else socket.end(answer);
    });
    const heads = fc.constantFrom(
      "HTTP/1.1 200 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: ",
      "SSH-2.0-OpenSSH\r\n\r\n",
      "",
    );
    const bodies = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.constantFrom(entry("a\n"), Buffer.from("5\r\nhello\r\n0\r\n\r\n"), Buffer.from("{}")),
    );
    await fc.assert(
      fc.asyncProperty(heads, bodies, async (head, body) => {
        answer = Buffer.concat([Buffer.from(head), body]);
        const { error } = await read(engine.service.containers.logs("a", { deadlineMs: 2_000 }));
        assert.ok(error === undefined || error instanceof ShimError, String(error));
        assert.ok(!isKind(error, "deadline-exceeded"), String(error));
      }),
      { numRuns: 150 },
    );
    await eventually(() => engine.openConnections() <= 1, "every connection is closed");
  });
});
