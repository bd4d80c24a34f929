import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { serveTcp } from "../../src/adapters/tcp/index.js";
import { serveUnixSocket } from "../../src/adapters/unix-socket/index.js";
import { createClients } from "../../src/client/index.js";
import { createTestShim, type TestShim } from "../../src/testing/index.js";
import { ClientCri } from "./client-cri.js";
import { podLife } from "./pod-life.js";

const image = "busybox:1.36";

describe("a pod's whole life on the memory engine", () => {
  const ways = {
    "a Unix socket": async ({ shim }: TestShim, folder: string) => {
      const path = join(folder, "cri.sock");
      const server = await serveUnixSocket(shim, { path });
      return { clients: createClients({ endpoint: `unix://${path}` }), close: () => server.close() };
    },
    TCP: async ({ shim }: TestShim) => {
      const server = await serveTcp(shim, { port: 0 });
      return {
        clients: createClients({ endpoint: `tcp://127.0.0.1:${server.port}` }),
        close: () => server.close(),
      };
    },
    "the in-process transport": ({ shim }: TestShim) =>
      Promise.resolve({ clients: createClients(shim.inProcessTransport()), close: () => Promise.resolve() }),
  };
  for (const [way, open] of Object.entries(ways)) {
    it(`over ${way}`, async () => {
      const folder = await mkdtemp(join(tmpdir(), "docker-cri-life-"));
      try {
        await using test = await createTestShim();
        test.engine.registry.add(image);
        const { clients, close } = await open(test, folder);
        try {
          await podLife(new ClientCri(clients, "/var/log/pods"), {
            engineVersion: test.engine.settings.engineVersion,
            image,
            agree: async (expected) => {
              const list = await test.engine.containers.list();
              assert.deepEqual(new Map(list.map(({ id, state }) => [id, state])), new Map(expected));
            },
          });
        } finally {
          clients.close();
          await close();
        }
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  }
});
