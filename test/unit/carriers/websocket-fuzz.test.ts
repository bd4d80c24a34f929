import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { WebSocketServer } from "ws";
import { WebSocketChannels } from "../../../src/carriers/index.js";
import { closed } from "../../support/closed.js";
import { heapAfterCollection } from "../../support/heap.js";

/** A frame as a client sends it, masked. */
function frame(opcode: number, payload: Uint8Array, fin = true): Buffer {
  const mask = randomBytes(4);
  const masked = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  const length = payload.length < 126 ? Buffer.of(0x80 | payload.length) : Buffer.alloc(3);
  if (payload.length >= 126) {
    length[0] = 0x80 | 126;
    length.writeUInt16BE(payload.length, 1);
  }
  return Buffer.concat([Buffer.of((fin ? 0x80 : 0) | opcode), length, mask, masked]);
}

/** What a client of exec sends: input, sizes, the end of stdin, a ping, and its goodbye. */
const recorded = Buffer.concat([
  frame(2, Buffer.from("\0hello", "latin1")),
  frame(2, Buffer.concat([Buffer.of(0), Buffer.alloc(5_000, "x")])),
  frame(2, Buffer.from('\x04{"Width":80,"Height":24}', "latin1")),
  frame(9, Buffer.from("ping")),
  frame(2, Buffer.of(255, 0)),
  frame(2, Buffer.alloc(0)),
  frame(8, Buffer.of(3, 232)),
]);

describe("WebSocket channels of a peer that is not to be trusted", () => {
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 1024 * 1024 });
  const server = createServer();
  let open = 0;
  let dialect = { base64: false, halfClose: true };

  before(async () => {
    server.on("upgrade", (request, socket, head) => {
      socket.on("error", () => undefined);
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        open++;
        const connection = new WebSocketChannels(webSocket, { ...dialect, inputs: [0, 4] });
        connection.gone.addEventListener("abort", () => open--);
        for (const channel of [0, 4]) {
          void (async () => {
            for await (const data of connection.input(channel)) await connection.write(1, data);
          })().catch(() => undefined);
        }
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });

  /** Sends bytes behind a handshake, cut at such places, and resolves when the server is through with them. */
  async function feed(bytes: Buffer, cuts: readonly number[]): Promise<void> {
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    const gone = closed(socket.setNoDelay(true).resume());
    const lines = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
    const key = `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`;
    socket.write(["GET / HTTP/1.1", "Host: x", ...lines, key, "", ""].join("\r\n"));
    let offset = 0;
    for (const cut of [...cuts, bytes.length]) {
      socket.write(bytes.subarray(offset, offset + cut));
      offset = Math.min(offset + cut, bytes.length);
    }
    socket.end();
    const late = setTimeout(() => socket.destroy(new Error("late")), 5_000);
    await gone;
    clearTimeout(late);
    assert.notEqual(socket.errored?.message, "late", "the connection does not come to an end");
  }

  const cuts = fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 5 });
  const dialects = [true, false].map((halfClose) => ({ base64: !halfClose, halfClose }));

  for (const each of dialects) {
    it(`outlives random bytes, frames and changed sessions, ${each.base64 ? "base64" : "v5"}`, async () => {
      dialect = each;
      const random = fc.uint8Array({ maxLength: 1_000 }).map((bytes) => Buffer.from(bytes));
      const frames = fc
        .array(fc.tuple(fc.nat({ max: 15 }), fc.uint8Array({ maxLength: 200 }), fc.boolean()), {
          maxLength: 10,
        })
        .map((list) => Buffer.concat(list.map(([opcode, payload, fin]) => frame(opcode, payload, fin))));
      const change = fc.tuple(
        fc.nat({ max: recorded.length - 1 }),
        fc.nat({ max: 255 }),
        fc.nat({ max: 50 }),
      );
      const changed = fc.array(change, { minLength: 1, maxLength: 6 }).map((changes) => {
        let bytes = Buffer.from(recorded);
        for (const [at, value, cut] of changes) {
          bytes[Math.min(at, bytes.length - 1)] = value;
          if (cut > 25) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + cut)]);
        }
        return bytes;
      });
      const run = async (runs: number) => {
        await fc.assert(
          fc.asyncProperty(fc.oneof(random, frames, changed), cuts, async (bytes, at) => {
            await feed(bytes, at);
          }),
          { numRuns: runs, interruptAfterTimeLimit: 10_000 },
        );
      };
      await run(100);
      const before = heapAfterCollection();
      await run(300);
      assert.ok(heapAfterCollection() - before < 4 * 1024 * 1024, "the heap grows");
      for (const end = Date.now() + 5_000; open > 0 && Date.now() < end;)
        await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(open, 0);
    });
  }
});
