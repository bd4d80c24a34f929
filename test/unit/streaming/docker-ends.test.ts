import assert from "node:assert/strict";
import { once } from "node:events";
import type { Duplex, Writable } from "node:stream";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connectPortForward, connectProcess, type RemoteProcess } from "../../../src/client/index.js";
import type { ContainerProcess, MemoryDocker, Program } from "../../../src/testing/index.js";
import { nothingIsLeft, streamingWorld, until } from "./world.js";

const block = Buffer.alloc(64 * 1024);

const waits: Program = (process) => process.sleep(Infinity);
const drips = async ({ stdout, sleep }: ContainerProcess) => {
  for (;;) await Promise.all([stdout.write("drop"), sleep(1)]);
};
const pours = async ({ stdout }: ContainerProcess) => {
  for (;;) await stdout.write(block);
};
const echoes = async ({ stdin, stdout }: ContainerProcess) => {
  for await (const chunk of stdin) await stdout.write(chunk);
  await stdout.write("end");
};

/** Writes until the stream is closed. */
async function pour(into: Writable): Promise<void> {
  while (!into.destroyed) if (!into.write(block)) await once(into, "drain").catch(() => undefined);
}

/** Writes a little now and then, until the stream is closed. */
async function drip(into: Writable): Promise<void> {
  while (!into.destroyed) {
    into.write("drop");
    await delay(1);
  }
}

/** What a process and its client are in the middle of. */
const stages: readonly [
  name: string,
  program: Program,
  begin: (remote: RemoteProcess) => Promise<unknown>,
][] = [
  [
    "before the first output",
    waits,
    ({ stdout }) => {
      stdout.resume();
      return Promise.resolve();
    },
  ],
  ["while output flows", drips, ({ stdout }) => once(stdout.resume(), "data")],
  ["while output waits for its reader", pours, ({ stdout }) => once(stdout, "readable")],
  [
    "while input flows",
    echoes,
    async ({ stdin, stdout }) => {
      void drip(stdin);
      await once(stdout.resume(), "data");
    },
  ],
  [
    "while input waits for its reader",
    waits,
    async ({ stdin, stdout }) => {
      void pour(stdin);
      stdout.resume();
      await until(() => stdin.writableNeedDrain);
    },
  ],
  [
    "after the end of the input",
    async (process) => {
      await echoes(process);
      await process.sleep(Infinity);
    },
    async ({ stdin, stdout }) => {
      stdin.end();
      await once(stdout.resume(), "data");
    },
  ],
];

/** How Docker's side of every session ends. */
const ends: Readonly<
  Record<string, (engine: MemoryDocker, containers: readonly string[]) => Promise<unknown>>
> = {
  "its connections break": (engine) => {
    engine.faults.breakStreams("execs.start");
    engine.faults.breakStreams("containers.attach");
    return Promise.resolve();
  },
  "its containers are killed": (engine, ids) => Promise.all(ids.map((id) => engine.containers.kill(id))),
  "its containers are removed": (engine, ids) =>
    Promise.all(ids.map((id) => engine.containers.remove(id, { force: true }))),
  "it dies and comes back": async (engine) => {
    engine.settings.liveRestore = true;
    await engine.stop();
    await engine.start();
  },
};

for (const transport of ["spdy", "websocket"] as const)
  describe(`sessions over ${transport} whose end comes from Docker`, { timeout: 60_000 }, () => {
    for (const [how, end] of Object.entries(ends))
      it(`end at any point, and leave nothing, when ${how}`, async () => {
        const programs = Object.fromEntries(stages.map(([, program], index) => [`stage${index}`, program]));
        await using world = await streamingWorld(programs);
        const { engine, runtime } = world;
        const containers: string[] = [];
        const streams = { stdin: true, stdout: true, stderr: false, tty: false };
        const open = async (kind: "exec" | "attach", index: number) => {
          const [, program = waits, begin] = stages[index] ?? [];
          const containerId = await world.start(kind === "exec" ? waits : program, {
            stdin: true,
            stdinOnce: true,
          });
          containers.push(containerId);
          const { url } =
            kind === "exec"
              ? await runtime.exec({ containerId, cmd: [`stage${index}`], ...streams })
              : await runtime.attach({ containerId, ...streams });
          const remote = await connectProcess(url, { transport, ...streams });
          await begin?.(remote);
          return remote;
        };
        const remotes = await Promise.all(
          (["exec", "attach"] as const).flatMap((kind) => stages.map((_, index) => open(kind, index))),
        );
        await until(() => engine.calls.openStreams("execs.start") === stages.length);
        await until(() => engine.calls.openStreams("containers.attach") === stages.length);
        await end(engine, containers);
        for (const remote of remotes) {
          remote.stdout.on("error", () => undefined).resume();
          await remote.exitCode.then(Number, (error: unknown) => {
            assert.match(String(error), /\w{3}/);
          });
        }
        await nothingIsLeft(world);
        const containerId = await world.start(waits);
        const { url } = await runtime.exec({ containerId, cmd: ["echo", "hello"], ...streams });
        const next = await connectProcess(url, { transport, ...streams });
        assert.equal(String(await once(next.stdout, "data")), "hello\n");
        assert.equal(await next.exitCode, 0);
      });

    it("are forwarded ports whose server ends at any point", async () => {
      await using world = await streamingWorld();
      const connections: Duplex[] = [];
      const servers: ((connection: Duplex) => unknown)[] = [
        () => undefined,
        (connection) => connection.destroy(),
        (connection) => connection.end("all"),
        (connection) => void pour(connection),
        (connection) => void drip(connection),
        (connection) => connection.pipe(connection),
      ];
      const containerId = await world.start(async ({ listen, sleep }) => {
        for (const [index, serve] of servers.entries()) listen(80 + index, serve);
        await sleep(Infinity);
      });
      using ports = await connectPortForward(await world.portForwardUrl(), { transport });
      for (const index of servers.keys())
        for (const reads of [true, false]) {
          const connection = ports.connect(80 + index).on("error", () => undefined);
          connections.push(connection);
          if (reads) connection.resume();
          void pour(connection);
        }
      await until(() =>
        connections.every(({ writableNeedDrain, destroyed }) => writableNeedDrain || destroyed),
      );
      await world.engine.containers.kill(containerId);
      for (const connection of connections) connection.resume();
      await until(() => connections.every(({ destroyed, readableEnded }) => destroyed || readableEnded));
      ports.close();
      await nothingIsLeft(world);
    });
  });
