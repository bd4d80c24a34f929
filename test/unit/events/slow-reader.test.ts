import assert from "node:assert/strict";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { describe, it } from "node:test";
import { serveUnixSocket } from "../../../src/adapters/unix-socket/index.js";
import { createClients } from "../../../src/client/index.js";
import { Inventory, type LifeEvent } from "../../../src/inventory/index.js";
import { createTestShim } from "../../../src/testing/index.js";
import { rawSession } from "../../wire/support/raw.js";

const limit = 4_096;
/** What HTTP/2's windows and buffers hold of messages that no longer wait for the reader, at the most. */
const onTheWay = 2_000;

function framesIn(bytes: Buffer): number {
  let frames = 0;
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt32BE(at + 1)) frames++;
  return frames;
}

describe("a subscriber of GetContainerEvents that stops reading", () => {
  it("is bounded, and ended with RESOURCE_EXHAUSTED once it reads again", { timeout: 60_000 }, async () => {
    await using lab = await createTestShim();
    const path = `/tmp/slow-reader-${process.pid}.sock`;
    await using server = await serveUnixSocket(lab.shim, { path });
    using clients = createClients({ endpoint: server.address });
    const config = { metadata: { name: "pod", namespace: "default", uid: "u1", attempt: 0 } };
    const { podSandboxId } = await clients.runtime.runPodSandbox({ config });
    const inventory = lab.shim.resolve(Inventory);
    let tell: ((step: LifeEvent) => void) | undefined;
    const subscribe = inventory.subscribe.bind(inventory);
    inventory.subscribe = (listener) => {
      tell = listener;
      return subscribe(listener);
    };

    await using raw = rawSession(() => connect(path));
    const stream = raw.open({ ":path": "/runtime.v1.RuntimeService/GetContainerEvents" });
    let trailers: Record<string, unknown> = {};
    stream.on("trailers", (given: Record<string, unknown>) => (trailers = given));
    stream.end(Buffer.alloc(5));
    while (!tell) await pause(5);
    const record = inventory.sandbox(podSandboxId);
    for (let count = 1; count <= 10_000; count++) {
      tell({ type: "stopped", record });
      // The reader gets what there is room for on the way.
      if (count % 100 === 0) await pause(0);
    }
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.equal(trailers["grpc-status"], "8");
    const events = framesIn(Buffer.concat(chunks));
    assert.ok(events >= limit && events <= limit + onTheWay, `${events} events`);
  });
});
