import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connectPortForward, connectProcess, type ProcessClientOptions } from "../../../src/client/index.js";
import type { ContainerProcess } from "../../../src/testing/index.js";
import { Authority } from "../../wire/support/certificates.js";
import { nothingIsLeft, streamingWorld, until } from "./world.js";

/** At how many points of a session its connection is cut, in each direction. */
const points = 6;

/** A peer whose kernel answers with a reset, and one that has closed its side in order. */
const endings = {
  reset: (socket: Socket) => socket.resetAndDestroy(),
  close: (socket: Socket) => socket.destroy(),
};

/** Where a connection is cut: after so many bytes in one direction. */
interface Cut {
  readonly direction: "toServer" | "toClient";
  readonly afterBytes: number;
  readonly ending: keyof typeof endings;
}

/** Carries connections to a server, and cuts them. */
class Carrier {
  cut: Cut | undefined;
  /** How many bytes the last connection has carried. */
  readonly carried = { toServer: 0, toClient: 0 };
  private end: (ending: Cut["ending"]) => void = () => undefined;
  private readonly server = createServer((client) => {
    this.carry(client);
  });

  constructor(private readonly port: number) {}

  /** The same URL by way of this. */
  async via(url: string): Promise<string> {
    if (!this.server.listening) await once(this.server.listen(0, "127.0.0.1"), "listening");
    return url.replace(/:\d+\//, `:${(this.server.address() as AddressInfo).port}/`);
  }

  cutNow(ending: Cut["ending"]): void {
    this.end(ending);
  }

  close(): void {
    this.server.close();
  }

  private carry(client: Socket): void {
    const server = connect(this.port, "127.0.0.1");
    const { cut, carried } = this;
    carried.toServer = carried.toClient = 0;
    this.end = (ending) => {
      for (const socket of [client, server]) endings[ending](socket);
    };
    const end = () => {
      this.end(cut?.ending ?? "close");
    };
    const pass = (from: Socket, to: Socket, direction: Cut["direction"]) => {
      const most = cut?.direction === direction ? cut.afterBytes : Infinity;
      from.on("data", (data) => {
        const part = data.subarray(0, most - carried[direction]);
        carried[direction] += part.length;
        to.write(part);
        if (carried[direction] === most) end();
      });
      from.on("error", end).on("close", end);
    };
    pass(client, server, "toServer");
    pass(server, client, "toClient");
  }
}

const echo = async (process: ContainerProcess) => {
  await process.stderr.write("ready");
  for await (const chunk of process.stdin) await process.stdout.write(chunk);
};

const pour = async (process: ContainerProcess) => {
  for (;;) await process.stdout.write(Buffer.alloc(64 * 1024));
};

/** A session of each kind, from its URL to its end. Each part of it waits for the one before. */
const sessions = {
  exec: async (url: string, options: ProcessClientOptions) => {
    const remote = await connectProcess(url, { ...options, stdin: true });
    remote.stderr.resume();
    remote.stdin.write("hello");
    await once(remote.stdout, "data");
    remote.stdin.end();
    remote.stdout.resume();
    assert.equal(await remote.exitCode, 0);
  },
  attach: async (url: string, options: ProcessClientOptions) => {
    const remote = await connectProcess(url, { ...options, stdin: true });
    remote.stderr.resume();
    remote.stdin.write("hello");
    await once(remote.stdout, "data");
    await remote.close();
    await remote.exitCode.catch(() => undefined);
  },
  "port-forward": async (url: string, options: ProcessClientOptions) => {
    using ports = await connectPortForward(url, options);
    const connection = ports.connect(80);
    connection.write("hello");
    await once(connection, "data");
    assert.equal(await text(connection.end(" again")), " again");
    await assert.rejects(text(ports.connect(81)), /81/);
  },
  "a request that is refused": async (url: string, options: ProcessClientOptions) => {
    await assert.rejects(connectProcess(url, options), { kind: "not-found" });
  },
};

type Kind = keyof typeof sessions;

const authority = new Authority("streaming");

async function openWorld(tls: boolean) {
  const world = await streamingWorld(
    { echo, pour },
    tls ? { streaming: { tls: { certFile: "/etc/tls.pem" } } } : {},
  );
  if (tls) {
    const { cert, key } = authority.issue("node");
    await world.engine.host.files.writeAtomic("/etc/tls.pem", `${cert}\n${key}`);
  }
  const attachable = await world.start(echo, { stdin: true });
  await world.start(async (process) => {
    process.listen(80, (connection) => connection.pipe(connection));
    await process.sleep(Infinity);
  });
  const urls: Readonly<Record<Kind, () => Promise<string>>> = {
    exec: () => world.execUrl(["echo"], { stdin: true }),
    attach: () => world.attachUrl(attachable, { stdin: true }),
    "port-forward": () => world.portForwardUrl(),
    "a request that is refused": async () => `${await world.execUrl(["echo"])}x`,
  };
  const carrier = new Carrier(Number(new URL(await urls.exec()).port));
  return { world, urls, carrier };
}

/** So many timers and connections does this process have. */
const resources = () =>
  process.getActiveResourcesInfo().filter((name) => /Timeout|TCPSocket|TLS/.test(name)).length;

for (const transport of ["spdy", "websocket"] as const)
  for (const tls of [false, true])
    describe(`a connection over ${transport}${tls ? " with TLS" : ""} that is cut at any point`, () => {
      for (const kind of Object.keys(sessions) as Kind[])
        it(`leaves nothing of ${kind}, and the next one is served`, { timeout: 60_000 }, async () => {
          const { world, urls, carrier } = await openWorld(tls);
          await using _ = world;
          const options = { transport, ...(tls && { tls: { ca: authority.cert } }) };
          const run = async () => sessions[kind](await carrier.via(await urls[kind]()), options);
          await run();
          await nothingIsLeft(world);
          const whole = { ...carrier.carried };
          const before = resources();
          for (const direction of ["toServer", "toClient"] as const)
            for (let point = 0; point <= points; point++)
              for (const ending of ["reset", "close"] as const) {
                const afterBytes = Math.max(1, Math.round((whole[direction] * point) / points));
                carrier.cut = { direction, afterBytes, ending };
                await run().catch((error: unknown) => {
                  assert.match(String(error), /\w{3}/);
                });
                await nothingIsLeft(world);
              }
          carrier.cut = undefined;
          await run();
          await nothingIsLeft(world);
          await until(() => resources() <= before);
          carrier.close();
        });

      it("leaves nothing of a command whose output nobody reads", async () => {
        const { world, carrier } = await openWorld(tls);
        await using _ = world;
        for (const ending of ["reset", "close"] as const) {
          const url = await carrier.via(await world.execUrl(["pour"]));
          const remote = await connectProcess(url, {
            transport,
            ...(tls && { tls: { ca: authority.cert } }),
          });
          await once(remote.stdout, "readable");
          await delay(50);
          carrier.cutNow(ending);
          await nothingIsLeft(world);
          await remote.close();
        }
        carrier.close();
      });
    });
