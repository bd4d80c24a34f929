import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { AsyncQueue, readItems, whenSent, wholeChunks } from "../../../src/base/index.js";

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("AsyncQueue", () => {
  it("keeps the order, whether the reader or the writer is first", async () => {
    const queue = new AsyncQueue<number>();
    queue.push(1);
    queue.push(2);
    const all = collect(queue);
    await delay(1);
    queue.push(3);
    await delay(1);
    queue.end();
    assert.equal(queue.push(4), false);
    assert.deepEqual(await all, [1, 2, 3]);
  });

  it("reports an error after the items before it, once", async () => {
    const queue = new AsyncQueue<number>();
    queue.push(1);
    queue.end(new Error("broken"));
    assert.deepEqual(await queue.next(), { done: false, value: 1 });
    await assert.rejects(queue.next(), /broken/);
    assert.deepEqual(await queue.next(), { done: true, value: undefined });
  });

  it("counts what was taken and what was dropped, and is done once", async () => {
    let taken = 0;
    let done = 0;
    const queue = new AsyncQueue<number>({ onTaken: (size) => (taken += size), onDone: () => done++ });
    for (const size of [1, 10, 100]) queue.push(size);
    for await (const size of queue) {
      assert.deepEqual([size, taken], [1, 1]);
      break;
    }
    queue.push(1_000);
    queue.discard();
    assert.deepEqual([taken, done], [111, 1]);
  });
});

describe("readItems", () => {
  it("reads nothing more while an item waits for its reader", async () => {
    const stream = new PassThrough({ highWaterMark: 10 });
    const items = readItems(stream, wholeChunks);
    for (let index = 0; index < 4; index++) stream.write(Buffer.alloc(10));
    await delay(5);
    assert.equal(stream.writableNeedDrain, true);
    stream.end();
    assert.equal(Buffer.concat(await collect(items)).length, 40);
  });

  it("reports an error of the parser, and a stream that closes without its end", async () => {
    const stream = new PassThrough();
    const parser = {
      *parse(chunk: Buffer) {
        yield chunk.length;
        throw new Error("not a frame");
      },
      end: () => undefined,
    };
    const items = readItems(stream, parser);
    stream.write("abc");
    assert.deepEqual(await items.next(), { done: false, value: 3 });
    await assert.rejects(items.next(), /not a frame/);

    const closed = new PassThrough();
    const chunks = readItems(closed, wholeChunks);
    closed.destroy();
    await assert.rejects(chunks.next(), { code: "ERR_STREAM_PREMATURE_CLOSE" });
  });
});

describe("whenSent", () => {
  it("waits for the drain or the close of a stream", async () => {
    for (const release of [(stream: PassThrough) => stream.resume(), (s: PassThrough) => s.destroy()]) {
      const stream = new PassThrough({ highWaterMark: 1 });
      await whenSent(stream);
      stream.write("abc");
      let sent = false;
      const waiting = whenSent(stream).then(() => (sent = true));
      await delay(5);
      assert.equal(sent, false);
      release(stream);
      await waiting;
      assert.deepEqual([stream.listenerCount("close"), sent], [0, true]);
    }
  });
});
