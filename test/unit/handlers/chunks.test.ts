import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { deepFreeze } from "../../../src/base/index.js";
import {
  ContainerSchema,
  ListContainersResponseSchema,
  type Container,
} from "../../../src/gen/runtime/v1/api_pb.js";
import { inChunks } from "../../../src/handlers/chunks.js";

function container(index: number, textBytes: number): Container {
  return create(ContainerSchema, { id: String(index), annotations: { text: "x".repeat(textBytes) } });
}

async function chunksOf(
  items: readonly Container[],
  options?: Parameters<typeof inChunks>[2],
): Promise<Container[][]> {
  const chunks: Container[][] = [];
  for await (const chunk of inChunks(ContainerSchema, items, options)) chunks.push(chunk);
  return chunks;
}

const bytesOf = (containers: Container[]) =>
  toBinary(ListContainersResponseSchema, create(ListContainersResponseSchema, { containers })).length;

describe("inChunks", () => {
  it("limits the bytes of a chunk, and keeps the order of items", async () => {
    const items = Array.from({ length: 400 }, (_, index) => container(index, (index * 7919) % 20_000));
    const chunks = await chunksOf(items);
    assert.deepEqual(chunks.flat(), items);
    assert.ok(chunks.length > 1);
    for (const chunk of chunks) assert.ok(bytesOf(chunk) <= 1024 * 1024, `${bytesOf(chunk)} bytes`);
    for (const [index, chunk] of chunks.slice(0, -1).entries())
      assert.ok(bytesOf([...chunk, chunks[index + 1]![0]!]) > 1024 * 1024 - 20_000, "a chunk is half empty");
  });

  it("sends an item longer than a chunk by itself", async () => {
    const items = [container(0, 10), container(1, 5_000), container(2, 10)];
    const chunks = await chunksOf(items, { limitBytes: 1_000 });
    assert.deepEqual(
      chunks.map((chunk) => chunk.map(({ id }) => id)),
      [["0"], ["1"], ["2"]],
    );
  });

  it("makes no chunk of an empty list", async () => {
    assert.deepEqual(await chunksOf([]), []);
  });

  it("measures a frozen item once", async () => {
    const item = container(0, 100);
    let reads = 0;
    Object.defineProperty(item, "podSandboxId", {
      enumerable: true,
      get: () => {
        reads++;
        return "p1";
      },
    });
    deepFreeze(item);
    await chunksOf([item]);
    const readsOfOne = reads;
    assert.deepEqual(await chunksOf([item, item]), [[item, item]]);
    assert.equal(reads, readsOfOne);
  });

  it("stops when the caller cancels", async () => {
    const over = new AbortController();
    const items = Array.from({ length: 10 }, (_, index) => container(index, 900));
    const chunks = inChunks(ContainerSchema, items, { signal: over.signal, limitBytes: 1_000 });
    assert.equal((await chunks.next()).done, false);
    over.abort(new Error("gone"));
    await assert.rejects(chunks.next(), /gone/);
  });
});
