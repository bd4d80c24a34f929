import assert from "node:assert/strict";
import { PassThrough, type Duplex } from "node:stream";
import { Duplex as NodeDuplex } from "node:stream";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { SpdyConnection } from "../../../src/carriers/index.js";
import { heapAfterCollection } from "../../support/heap.js";

/** Two ends of a connection in memory, and what the first has sent. */
function wire(): { client: Duplex; server: Duplex; sent: Buffer[] } {
  const [there, back] = [new PassThrough(), new PassThrough()];
  const sent: Buffer[] = [];
  there.on("data", (chunk: Buffer) => sent.push(chunk));
  return {
    client: NodeDuplex.from({ readable: back, writable: there }),
    server: NodeDuplex.from({ readable: there, writable: back }),
    sent,
  };
}

/** What a client sends in a session with streams, data, half-closes and pings. */
async function recordedSession(): Promise<Buffer> {
  const { client, server, sent } = wire();
  const answering = new SpdyConnection(server, {
    role: "server",
    onStream: (stream) => {
      stream.accept();
      stream.discardInput();
    },
  });
  const asking = new SpdyConnection(client, { role: "client" });
  for (const type of ["error", "stdin", "stdout", "resize"]) {
    const stream = asking.open(new Map([["streamtype", type]]));
    await stream.write(Buffer.from(`data of ${type}`));
    await stream.write(Buffer.alloc(5_000, type));
    if (type !== "stdout") stream.end();
    else stream.reset();
    asking.ping();
  }
  await delay(10);
  asking.destroy();
  answering.destroy();
  return Buffer.concat(sent);
}

/** Feeds bytes to a server, and resolves when it has come to an end with them. */
async function feed(bytes: Buffer, cuts: readonly number[]): Promise<void> {
  const { client, server } = wire();
  let open = 0;
  const connection = new SpdyConnection(server, {
    role: "server",
    onStream: (stream) => {
      open++;
      stream.accept();
      void (async () => {
        for await (const chunk of stream.input) await stream.write(chunk);
        stream.end();
      })().catch(() => undefined);
    },
  });
  client.resume();
  client.on("error", () => undefined);
  let offset = 0;
  for (const cut of [...cuts, bytes.length]) {
    const end = Math.min(offset + cut, bytes.length);
    client.write(bytes.subarray(offset, end));
    offset = end;
  }
  client.end();
  const over = new Promise<boolean>((resolve) => {
    if (connection.gone.aborted) resolve(true);
    connection.gone.addEventListener("abort", () => {
      resolve(true);
    });
  });
  assert.ok(await Promise.race([over, delay(5_000, false)]), "the connection does not come to an end");
  assert.ok(open <= 64);
}

describe("SPDY from a peer that is not to be trusted", () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 20 });

  it("outlives random bytes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), cuts, async (bytes, at) => {
        await feed(Buffer.from(bytes), at);
      }),
      { numRuns: 200 },
    );
  });

  it("outlives random control frames", async () => {
    const frame = fc
      .record({
        type: fc.integer({ min: 0, max: 12 }),
        flags: fc.integer({ min: 0, max: 255 }),
        body: fc.uint8Array({ maxLength: 100 }),
      })
      .map(({ type, flags, body }) => {
        const head = Buffer.from([0x80, 3, 0, type, flags, 0, 0, body.length]);
        return Buffer.concat([head, body]);
      });
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 20 }), cuts, async (frames, at) => {
        await feed(Buffer.concat(frames), at);
      }),
      { numRuns: 200 },
    );
  });

  it("outlives recorded sessions with bytes changed, cut out and doubled", async () => {
    const recorded = await recordedSession();
    assert.ok(recorded.length > 20_000);
    const change = fc.record({
      kind: fc.constantFrom("set", "cut", "double"),
      at: fc.nat({ max: recorded.length - 1 }),
      value: fc.integer({ min: 0, max: 255 }),
    });
    const run = async (numRuns: number) => {
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), cuts, async (changes, at) => {
          let bytes = Buffer.from(recorded);
          for (const { kind, at: place, value } of changes) {
            const where = Math.min(place, bytes.length);
            const end = where + value;
            if (kind === "set" && where < bytes.length) bytes.writeUInt8(value, where);
            if (kind === "cut") bytes = Buffer.concat([bytes.subarray(0, where), bytes.subarray(end)]);
            if (kind === "double") bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(where)]);
          }
          await feed(bytes, at);
        }),
        { numRuns },
      );
    };
    await run(50);
    const before = heapAfterCollection();
    await run(150);
    assert.ok(heapAfterCollection() - before < 4 * 1024 * 1024, "the heap grows");
  });
});
