import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connectPortForward, connectProcess } from "../../../src/client/index.js";
import type { ContainerProcess } from "../../../src/testing/index.js";
import { heapAfterCollection } from "../../support/heap.js";
import { streamingWorld, until, untilNothingIsLeft, type StreamingWorld } from "./world.js";

const sessions = 750;
const atOnce = 50;
/** As many requests may wait for their clients. */
const maxUnusedTokens = 1_000;

const echo = async (process: ContainerProcess) => {
  await process.stdout.write("there");
  for await (const chunk of process.stdin) await process.stdout.write(chunk);
};
const wanted = { stdin: true, stderr: false };

/** Numbers that look random and are the same in every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A connection that is cut before, within or just after its upgrade. */
async function cutUpgrade(url: string, random: number): Promise<void> {
  const { hostname, port, pathname } = new URL(url);
  const lines = ["Connection: Upgrade", "Upgrade: SPDY/3.1", "X-Stream-Protocol-Version: v4.channel.k8s.io"];
  const request = [`POST ${pathname} HTTP/1.1`, "Host: x", ...lines, "", ""].join("\r\n");
  const socket = connect(Number(port), hostname).on("error", () => undefined);
  await once(socket, "connect");
  socket.write(request);
  if (random < 0.5) await once(socket, "data");
  socket.destroy();
}

async function dropped(world: StreamingWorld, attachable: string, random: () => number): Promise<void> {
  const transport = random() < 0.5 ? "spdy" : "websocket";
  const kind = Math.floor(random() * 4);
  const point = random();
  if (kind === 0) {
    await cutUpgrade(await world.execUrl(["echo"], wanted), point);
    return;
  }
  if (kind === 1) {
    using ports = await connectPortForward(await world.portForwardUrl(), { transport });
    const connection = ports.connect(random() < 0.8 ? 80 : 81).on("error", () => undefined);
    connection.write("hello");
    if (point < 0.5) await Promise.race([once(connection, "data"), delay(20)]).catch(() => undefined);
    if (point < 0.25) connection.destroy();
    return;
  }
  const url = kind === 2 ? await world.execUrl(["echo"], wanted) : await world.attachUrl(attachable, wanted);
  const remote = await connectProcess(url, { transport, ...wanted });
  if (point < 0.2) remote.stdin.end();
  else remote.stdin.write(Buffer.alloc(point < 0.3 ? 500_000 : 10));
  if (point < 0.6) await Promise.race([once(remote.stdout, "data"), delay(20)]).catch(() => undefined);
  await remote.close();
}

describe("sessions that are opened and dropped at any point", () => {
  it(`leave nothing: ${sessions} of them`, { timeout: 120_000 }, async () => {
    const config = { streaming: { creationTimeoutMs: 1_000 } };
    await using world = await streamingWorld({ echo }, config);
    await world.start(async (process) => {
      process.listen(80, (connection) => connection.on("error", () => undefined).pipe(connection));
      await process.sleep(Infinity);
    });
    const attachable = await world.start(echo, { stdin: true });
    const random = generator(1);
    const run = async (count: number) => {
      let left = count;
      const worker = async () => {
        while (left-- > 0) await dropped(world, attachable, random);
      };
      await Promise.all(Array.from({ length: atOnce }, worker));
      await untilNothingIsLeft(world);
    };
    const descriptors = () => readdirSync("/proc/self/fd").length;
    await run(sessions / 5);
    const before = { heap: heapAfterCollection(), descriptors: descriptors() };
    await run((sessions * 4) / 5);
    await until(() => descriptors() <= before.descriptors + 2);
    const { engine } = world;
    await until(() => engine.calls.openStreams("containers.attach") <= 1);
    // A token that was left would take the place of one of these.
    for (let token = 0; token < maxUnusedTokens; token++) await world.execUrl(["echo"]);
    await assert.rejects(world.execUrl(["echo"]), /are waiting for their clients/);
    const grown = heapAfterCollection() - before.heap;
    assert.ok(grown < 6 * 1024 * 1024, `the heap grows by ${grown}`);
  });
});
