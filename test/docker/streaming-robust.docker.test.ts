import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, stat } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connectPortForward, connectProcess } from "../../src/client/index.js";
import { echoPorts, startEchoServer } from "./echo-server.js";
import { openLab, type Dockerd } from "./lab/index.js";
import { eachAtOnce, openPodNode, podConfig, serveShim, type PodNode, type ServedShim } from "./pods-node.js";
import { digestOf, pour, processesWith, until } from "./streams.js";

const lab = openLab();
after(async () => {
  await lab.close();
});

const mebibyte = 1024 * 1024;
const mebibytes = { spdy: 500, websocket: 100 } as const;
const stalledMs = 2_000;
const churnSeconds = 20;
/** Instead of as many as fit into that time. */
const churnSessions = Number(process.env["DOCKER_CRI_SESSIONS"] ?? 0);
const transports = ["spdy", "websocket"] as const;
type Transport = (typeof transports)[number];

describe("streaming from a server of its own", { timeout: 400_000 + churnSessions * 1_000 }, () => {
  let dockerd: Dockerd;
  let node: PodNode;
  let shim: ServedShim;
  let main: string;
  let podId: string;
  let made = 0;

  before(async () => {
    dockerd = await lab.dockerd({ name: "robust", engine: "26.1", iptables: false });
    node = await openPodNode(lab, dockerd, "robust", 71);
    shim = await serveShim(lab, node);
    podId = await runPod({});
    main = await start(["sleep", "86400"]);
  });

  async function runPod(wish: { readonly hostNetwork?: boolean }): Promise<string> {
    const config = podConfig(`robust-${made++}`, wish);
    return (await shim.cri.runtime.runPodSandbox({ config })).podSandboxId;
  }

  async function start(command: string[], more: { stdin?: boolean; stdinOnce?: boolean } = {}) {
    const { containerId } = await shim.cri.runtime.createContainer({
      podSandboxId: podId,
      sandboxConfig: podConfig("robust-0"),
      config: {
        metadata: { name: `container-${made++}` },
        image: { image: "busybox:1.36" },
        command,
        linux: {},
        mounts: [{ hostPath: node.root, containerPath: "/node" }],
        ...more,
      },
    });
    await shim.cri.runtime.startContainer({ containerId });
    return containerId;
  }

  async function exec(transport: Transport, cmd: readonly string[], stdin = false) {
    const wanted = { stdin, stdout: true, stderr: false, tty: false };
    const { url } = await shim.cri.runtime.exec({ containerId: main, cmd: [...cmd], ...wanted });
    return await connectProcess(url, { transport, ...wanted });
  }

  async function attach(transport: Transport, containerId: string, stdin = false) {
    const wanted = { stdin, stdout: true, stderr: false, tty: false };
    const { url } = await shim.cri.runtime.attach({ containerId, ...wanted });
    return await connectProcess(url, { transport, ...wanted });
  }

  async function forward(transport: Transport, podSandboxId = podId) {
    const { url } = await shim.cri.runtime.portForward({ podSandboxId });
    return await connectPortForward(url, { transport });
  }

  /** By how much the server's memory grew while a session was open that stands still. */
  async function growthDuring(session: Promise<{ close(): unknown }>): Promise<number> {
    const rss = await shim.service.rssBytes();
    const open = await session;
    await delay(stalledMs);
    const growth = (await shim.service.rssBytes()) - rss;
    await open.close();
    return growth;
  }

  async function pid(containerId: string): Promise<number> {
    const { stdout } = await dockerd.docker(["inspect", "--format", "{{.State.Pid}}", containerId]);
    return Number(stdout);
  }

  for (const transport of transports) {
    const transferMebibytes = mebibytes[transport];
    describe(`over ${transport}`, () => {
      it(`moves ${transferMebibytes} MiB each way through exec, with the same digest`, async () => {
        const taken = await exec(transport, ["sh", "-c", "cat > /node/moved"], true);
        taken.stdout.resume();
        const sent = await pour(taken.stdin, transferMebibytes);
        assert.equal(await taken.exitCode, 0);
        const given = await exec(transport, ["cat", "/node/moved"]);
        assert.equal(await digestOf(given.stdout), sent);
        assert.equal(await given.exitCode, 0);
      });

      it(`moves ${transferMebibytes} MiB each way through attach, to a stdin for one client`, async () => {
        const containerId = await start(["sh", "-c", "cat > /node/moved; echo; cat /node/moved"], {
          stdin: true,
          stdinOnce: true,
        });
        const remote = await attach(transport, containerId, true);
        const sending = pour(remote.stdin, transferMebibytes);
        // The end of its stdin is the end of the first cat.
        await once(remote.stdout, "readable");
        assert.equal(String(remote.stdout.read(1)), "\n");
        const received = await digestOf(remote.stdout);
        assert.equal(received, await sending);
        await shim.cri.runtime.removeContainer({ containerId });
      });

      it(`moves ${transferMebibytes} MiB each way through a port`, async () => {
        await using server = await startEchoServer(await pid(main));
        assert.ok(server);
        using ports = await forward(transport);
        const connection = ports.connect(echoPorts.echo);
        const [sent, received] = await Promise.all([
          pour(connection, transferMebibytes),
          digestOf(connection),
        ]);
        assert.equal(received, sent);
      });

      it("loses no byte of an input that ends, 20 of 20 times", async () => {
        for (let round = 0; round < 20; round++) {
          const remote = await exec(transport, ["sh", "-c", "cat > /node/whole"], true);
          remote.stdout.resume();
          remote.stdin.end(Buffer.alloc(mebibyte + round));
          assert.equal(await remote.exitCode, 0);
          assert.equal((await stat(join(node.root, "whole"))).size, mebibyte + round);
        }
      });

      it("keeps memory bounded for a client, a command or a port that reads nothing", async () => {
        const stalled = async () => {
          const remote = await exec(transport, ["sleep", "86400"], true);
          void pour(remote.stdin, 500).catch(() => undefined);
          return remote;
        };
        assert.ok((await growthDuring(exec(transport, ["cat", "/dev/zero"]))) < 64 * mebibyte);
        assert.ok((await growthDuring(stalled())) < 64 * mebibyte);
        await using server = await startEchoServer(await pid(main));
        assert.ok(server);
        const port = async () => {
          const ports = await forward(transport);
          void pour(
            ports.connect(echoPorts.echo).on("error", () => undefined),
            500,
          ).catch(() => undefined);
          return ports;
        };
        assert.ok((await growthDuring(port())) < 64 * mebibyte);
      });

      it("ends a command of a client that vanishes while it waits to write", async () => {
        const word = `9611${transport.length}`;
        const remote = await exec(transport, ["sleep", word], true);
        void pour(remote.stdin, 100).catch(() => undefined);
        await until(async () => (await processesWith(word)).length > 0 && remote.stdin.writableNeedDrain);
        await remote.close();
        await until(async () => (await processesWith(word)).length === 0);
      });

      it("reaches ports of a pod in the node's network", async () => {
        const server = createServer((socket) => socket.on("error", () => undefined).end("the node")).listen(
          0,
          "127.0.0.1",
        );
        await once(server, "listening");
        const podSandboxId = await runPod({ hostNetwork: true });
        using ports = await forward(transport, podSandboxId);
        assert.equal(await text(ports.connect((server.address() as AddressInfo).port).end()), "the node");
        server.close();
      });
    });
  }

  const churn = churnSessions > 0 ? `${churnSessions} of them` : `${churnSeconds} s of them`;
  it(`leaves nothing of sessions that clients open and drop at any point: ${churn}`, async (context) => {
    const word = "96123";
    const held = async () => {
      const info = ["info", "--format", "{{.NGoroutines}}"];
      return {
        descriptors: (await readdir(`/proc/${shim.service.pid}/fd`)).length,
        processes: (await processesWith(word)).length,
        // dockerd's sockets say little: those of an exec with a stdin it leaves to its garbage collector.
        goroutines: Number((await dockerd.docker(info)).stdout),
        execs: await dockerExecs(),
        mebibytes: Math.round((await shim.service.rssBytes()) / mebibyte),
        dockerMebibytes: Math.round((await dockerd.rssBytes()) / mebibyte),
      };
    };
    const dockerExecs = async () => {
      const { stdout } = await dockerd.docker(["inspect", "--format", "{{json .ExecIDs}}", main]);
      return ((JSON.parse(stdout) as string[] | null) ?? []).length;
    };
    // One connection of Docker's to the silent container stays, whoever attaches.
    await (await attach("spdy", main)).close();
    const before = await held();
    const session = async (number: number) => {
      const transport = transports[number % 2] ?? "spdy";
      const kind = number % 3;
      if (number % 7 === 0) {
        await shim.cri.runtime.exec({ containerId: main, cmd: ["true"], stdout: true });
        return;
      }
      if (kind === 2) {
        using ports = await forward(transport);
        const connections = [1, 2, 3].map(() => ports.connect(echoPorts.echo).on("error", () => undefined));
        await delay(Math.random() * 20);
        for (const connection of connections) connection.destroy();
        return;
      }
      const remote =
        kind === 0
          ? await exec(transport, ["sh", "-c", `echo; (sleep ${word}) & sleep ${word}; true`], true)
          : await attach(transport, main);
      remote.stdin.write(Buffer.alloc(number % 5 === 0 ? mebibyte : 10));
      await delay(Math.random() * 200);
      await remote.close();
    };
    const end = churnSessions > 0 ? Infinity : Date.now() + churnSeconds * 1_000;
    let sessions = 0;
    await eachAtOnce(
      Array.from({ length: churnSessions || 10_000 }, (_, index) => index),
      12,
      async (number) => {
        if (Date.now() > end) return;
        await session(number);
        sessions++;
      },
    );
    assert.ok(sessions > 50, `${sessions} sessions`);
    await until(async () => (await processesWith(word)).length === 0);
    await until(async () => (await readdir(join(node.root, "streaming/execs"))).length === 0);
    await until(async () => (await dockerExecs()) === 0);
    // Idle connections to Docker and of the CRI client come and go.
    await until(async () => (await held()).descriptors <= before.descriptors + 15);
    await until(async () => (await held()).goroutines <= before.goroutines + 30);
    context.diagnostic(`${sessions} sessions: ${JSON.stringify({ before, after: await held() })}`);
  });

  it("kills the commands of earlier sessions after it was killed and restarted", async () => {
    const word = "96125";
    const remotes = await Promise.all(
      transports.map((transport) =>
        exec(transport, ["sh", "-c", `setsid sleep ${word} & sleep ${word}; true`]),
      ),
    );
    await until(async () => (await processesWith(word)).length >= 4);
    await shim.service.kill();
    for (const remote of remotes) await assert.rejects(remote.exitCode, { kind: "unavailable" });
    await shim.service.start();
    await until(async () => (await processesWith(word)).length === 0);
    await until(async () => (await readdir(join(node.root, "streaming/execs"))).length === 0);
  });

  it("ends the sessions of a Docker that dies", async () => {
    const remotes = [
      await exec("spdy", ["sleep", "86400"], true),
      await exec("websocket", ["sleep", "86400"], true),
      await attach("spdy", main),
      await attach("websocket", main),
    ];
    await delay(1_000);
    await dockerd.kill();
    for (const remote of remotes) {
      const outcome = await Promise.race([
        remote.exitCode.then(
          () => "ended",
          (error: unknown) => String(error),
        ),
        delay(15_000, "still waits"),
      ]);
      assert.notEqual(outcome, "still waits");
    }
    await dockerd.start();
  });
});
