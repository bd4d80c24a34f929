import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pino } from "pino";
import { serveUnixSocket } from "../../../src/adapters/unix-socket/index.js";
import { isKind } from "../../../src/base/index.js";
import { createClients } from "../../../src/client/index.js";
import type { RpcTarget } from "../../../src/rpc/serving.js";

const source = (path: string) => JSON.stringify(new URL(`../../../src/${path}`, import.meta.url).href);

/** Serves what it is passed, as a process that systemd has started does. */
const script = `
  process.env.LISTEN_PID = String(process.pid);
  const { serveUnixSocket } = await import(${source("adapters/unix-socket/index.ts")});
  const { pino } = await import("pino");
  const target = { log: pino({ level: "silent" }), handlerFor: () => ({ handle: () => ({ version: "activated" }) }) };
  try {
    const server = await serveUnixSocket(target, { endpoint: "fd://" });
    console.log(server.address);
    process.once("SIGTERM", () => void server.close());
  } catch (error) {
    console.log(error.kind, error.message);
  }
`;

const target: RpcTarget = {
  log: pino({ level: "silent" }),
  handlerFor: () => ({ handle: () => ({}) }),
};

function startWith(listening: Server): ChildProcess {
  const { fd } = (listening as unknown as { _handle: { fd: number } })._handle;
  return spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit", fd],
    env: { ...process.env, LISTEN_FDS: "1" },
  });
}

describe("serveUnixSocket with fd://", () => {
  it("serves the socket that it was passed, and leaves the file when it closes", async () => {
    const folder = await mkdtemp(join(tmpdir(), "docker-cri-activation-"));
    const path = join(folder, "cri.sock");
    const systemd = createServer();
    const first = join(folder, "first.sock");
    systemd.listen(first);
    await once(systemd, "listening");
    const child = startWith(systemd);
    // This process must not accept what is for the child; closing would remove the file at its first name.
    await rename(first, path);
    systemd.close();
    using clients = createClients({ endpoint: `unix://${path}` });
    try {
      const [printed] = (await once(child.stdout!, "data")) as [Buffer];
      assert.equal(printed.toString().trim(), "fd://");
      assert.equal((await clients.runtime.version({})).version, "activated");
      child.kill("SIGTERM");
      const [code] = (await once(child, "close")) as [number];
      assert.equal(code, 0);
      assert.ok(existsSync(path));
    } finally {
      child.kill("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("refuses a TCP socket, which anyone could reach", async () => {
    const systemd = createServer();
    systemd.listen(0, "127.0.0.1");
    await once(systemd, "listening");
    const child = startWith(systemd);
    try {
      const [printed] = (await once(child.stdout!, "data")) as [Buffer];
      assert.match(printed.toString(), /^invalid-argument systemd passed a TCP socket \(127\.0\.0\.1:\d+\)/);
      const [code] = (await once(child, "close")) as [number];
      assert.equal(code, 0);
    } finally {
      child.kill("SIGKILL");
      systemd.close();
    }
  });

  it("reports it when nothing was passed", async () => {
    await assert.rejects(serveUnixSocket(target, { endpoint: "fd://" }), (error) =>
      isKind(error, "failed-precondition"),
    );
  });
});

describe("serveUnixSocket's options", () => {
  it("need one place", async () => {
    const wrong = [
      {},
      { path: "/run/a.sock", endpoint: "unix:///run/a.sock" },
      { path: "/run/a.sock", endpoint: "fd://" },
      { endpoint: "tcp://127.0.0.1:1" },
      { endpoint: "unix://relative" },
      { path: "/tmp/never.sock", group: "no-such-group" },
    ];
    for (const options of wrong) {
      await assert.rejects(serveUnixSocket(target, options), (error) => isKind(error, "invalid-argument"));
    }
  });

  it("take an endpoint as createClients does, and mode 0660 by default", async () => {
    const folder = await mkdtemp(join(tmpdir(), "docker-cri-endpoint-"));
    const endpoint = `unix://${join(folder, "cri.sock")}`;
    try {
      await using server = await serveUnixSocket(target, { endpoint });
      assert.equal(server.address, endpoint);
      using clients = createClients({ endpoint });
      await clients.runtime.version({});
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
