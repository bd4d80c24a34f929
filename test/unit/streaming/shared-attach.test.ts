import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { AsyncQueue } from "../../../src/base/index.js";
import type { DockerService, OutputFrame } from "../../../src/docker/index.js";
import { SharedAttaches } from "../../../src/streaming/session/shared-attach.js";

/** Docker's side of each attach, in their order. */
function attaches() {
  const outputs: AsyncQueue<OutputFrame>[] = [];
  const attach = () => {
    const output = new AsyncQueue<OutputFrame>();
    outputs.push(output);
    return Promise.resolve({ output });
  };
  return { outputs, shared: new SharedAttaches({ containers: { attach } } as unknown as DockerService) };
}

const said = (data: string) => ({ stream: "stdout", data: Buffer.from(data) }) as const;
const textOf = async (frames: AsyncIterable<OutputFrame>) => {
  const parts: Uint8Array[] = [];
  for await (const { data } of frames) parts.push(data);
  return Buffer.concat(parts).toString();
};

describe("a shared attach", () => {
  it("gives all its clients the same, from when they came", async () => {
    const { outputs, shared } = attaches();
    const first = textOf(await shared.join("c", false));
    outputs[0]?.push(said("one "));
    await nextTurn();
    await nextTurn();
    const second = textOf(await shared.join("c", false));
    outputs[0]?.push(said("two"));
    outputs[0]?.end();
    assert.deepEqual(await Promise.all([first, second]), ["one two", "two"]);
    assert.equal(outputs.length, 1);
  });

  it("is made anew for a client that comes as the last one ends", async () => {
    const { outputs, shared } = attaches();
    const first = textOf(await shared.join("c", false));
    await nextTurn();
    outputs[0]?.end();
    const second = textOf(await shared.join("c", false));
    outputs[1]?.push(said("again"));
    outputs[1]?.end();
    assert.deepEqual(await Promise.all([first, second]), ["", "again"]);
  });

  it("is made anew for a client that comes as the last one is given up, and once for all", async () => {
    const { outputs, shared } = attaches();
    (await shared.join("c", false)).destroy();
    await nextTurn();
    outputs[0]?.push(said("nobody hears this"));
    const late = await Promise.all([shared.join("c", false), shared.join("c", false)]);
    await nextTurn();
    const later = await shared.join("c", false);
    outputs[1]?.push(said("hello"));
    outputs[1]?.end();
    assert.deepEqual(await Promise.all([...late, later].map(textOf)), ["hello", "hello", "hello"]);
    assert.equal(outputs.length, 2);
  });
});
