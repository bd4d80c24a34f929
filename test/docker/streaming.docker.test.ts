import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import type { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connectPortForward, connectProcess, type RemoteProcess } from "../../src/client/index.js";
import { createShim, DockerService } from "../../src/index.js";
import { echoPorts, refusedPort, startEchoServer } from "./echo-server.js";
import { openLab, type Dockerd, type EngineName } from "./lab/index.js";
import { openNode, type NodeInView } from "./proxy/node-in-view.js";
import { digestOf, pour, processesWith, socketsOf, startBusybox, until } from "./streams.js";
import { untilSize } from "./terminal.js";

const lab = openLab();
after(async () => {
  await lab.close();
});

const podConfig = { metadata: { name: "streaming", namespace: "default", uid: "uid-streaming" }, linux: {} };

for (const engine of ["20.10", "26.1"] as const satisfies readonly EngineName[]) {
  describe(`exec, attach and port-forward on Docker ${engine}`, { timeout: 400_000 }, () => {
    let dockerd: Dockerd;
    let node: NodeInView;
    let podId: string;
    let main: string;

    before(async () => {
      dockerd = await lab.dockerd({ name: "streaming", engine, iptables: false });
      node = await openNode(dockerd);
      podId = (await node.cri.runtime.runPodSandbox({ config: podConfig })).podSandboxId;
      main = await start("main", ["sleep", "86400"]);
    });
    after(async () => {
      await node.cri.runtime.removePodSandbox({ podSandboxId: podId });
      await node[Symbol.asyncDispose]();
      await dockerd.stop();
    });

    const start = (name: string, command: string[], more: { stdin?: boolean; tty?: boolean } = {}) =>
      startBusybox(node.cri, podId, podConfig, { metadata: { name }, command, ...more });

    for (const transport of ["spdy", "websocket"] as const) {
      const streams = { stdin: false, stdout: true, stderr: true, tty: false };

      const exec = async (cmd: string[], more: { stdin?: boolean; tty?: boolean } = {}) => {
        const wanted = { ...streams, ...more, stderr: more.tty !== true };
        const { url } = await node.cri.runtime.exec({ containerId: main, cmd, ...wanted });
        return await connectProcess(url, { transport, ...wanted });
      };

      describe(`over ${transport}`, () => {
        it("keeps stdout and stderr apart and reports the exit code", async () => {
          const remote = await exec(["sh", "-c", "echo out; echo err >&2; exit 7"]);
          const outputs = await Promise.all([text(remote.stdout), text(remote.stderr)]);
          assert.deepEqual([...outputs, await remote.exitCode], ["out\n", "err\n", 7]);
        });

        it("writes 100 MiB to a command's stdin before it closes it", async () => {
          const remote = await exec(["sh", "-c", "cat > /tmp/poured; md5sum < /tmp/poured; rm /tmp/poured"], {
            stdin: true,
          });
          remote.stderr.resume();
          const [sent, answer] = await Promise.all([pour(remote.stdin, 100), text(remote.stdout)]);
          assert.equal(answer.split(" ")[0], sent);
          assert.equal(await remote.exitCode, 0);
        });

        it("sends a slow reader all output, and then the status", async () => {
          const remote = await exec(["seq", "1", "2000000"]);
          remote.stderr.resume();
          let last = "";
          let chunks = 0;
          for await (const chunk of remote.stdout as AsyncIterable<Buffer>) {
            last = (last + chunk.toString("latin1")).slice(-20);
            if (chunks++ % 20 === 0) await delay(10);
          }
          assert.equal(last.trim().split("\n").at(-1), "2000000");
          assert.equal(await remote.exitCode, 0);
        });

        it("gives a terminal its size and TERM", async () => {
          // A size may arrive when the command runs already.
          const script = `${untilSize(123, 45)}; stty size; echo $TERM`;
          const remote = await exec(["sh", "-c", script], { tty: true });
          remote.resize({ width: 123, height: 45 });
          assert.equal(await text(remote.stdout), "45 123\r\nxterm\r\n");
          assert.equal(await remote.exitCode, 0);
        });

        it("ends a command and its children when the client vanishes, terminal or not", async () => {
          for (const tty of [false, true]) {
            const word = `98${engine.replace(".", "")}${transport.length}${String(Number(tty))}`;
            const remote = await exec(["sh", "-c", `setsid sleep ${word} & sleep ${word}; true`], { tty });
            await until(async () => (await processesWith(word)).length >= 2);
            await remote.close();
            await until(async () => (await processesWith(word)).length === 0);
          }
          await until(
            async () =>
              (await node.shim.resolve<DockerService>(DockerService).containers.inspect(main)).execIds
                .length === 0,
          );
        });

        it("stops a container while a client does not read its output", async () => {
          const containerId = await start(`shouting-${transport}`, ["yes"]);
          const { url } = await node.cri.runtime.attach({ containerId, ...streams });
          const remote = await connectProcess(url, { transport });
          await once(remote.stdout, "readable");
          await delay(1_000);
          const begun = Date.now();
          await node.cri.runtime.stopContainer({ containerId, timeout: 1n });
          assert.ok(Date.now() - begun < 15_000);
          await remote.close();
        });

        it("leaves nothing of an attach to a silent container", async () => {
          const containerId = await start(`silent-${transport}`, ["sleep", "86400"]);
          const attach = async () => {
            const { url } = await node.cri.runtime.attach({ containerId, ...streams });
            return await connectProcess(url, { transport });
          };
          await (await attach()).close();
          await delay(1_000);
          const before = [await socketsOf(dockerd.pid), await socketsOf(process.pid)];
          const remotes = await Promise.all(Array.from({ length: 20 }, attach));
          await delay(500);
          for (const remote of remotes) await remote.close();
          await until(async () => {
            const now = [await socketsOf(dockerd.pid), await socketsOf(process.pid)];
            return now.every((count, index) => count <= (before[index] ?? 0) + 3);
          });
        });

        it("attaches two clients to a container, and its stdin stays open after them", async () => {
          const containerId = await start(`echo-${transport}`, ["cat"], { stdin: true });
          const wanted = { ...streams, stdin: true };
          const attach = async () => {
            const { url } = await node.cri.runtime.attach({ containerId, ...wanted });
            return await connectProcess(url, { transport, ...wanted });
          };
          const [one, other] = [await attach(), await attach()];
          const heard = new Map([one, other].map((remote) => [remote, ""]));
          const hears = (remote: RemoteProcess, words: string) =>
            until(() => Promise.resolve(heard.get(remote)?.endsWith(words) === true));
          for (const remote of heard.keys())
            remote.stdout.on("data", (data) => heard.set(remote, `${heard.get(remote)}${String(data)}`));
          // A client's input waits until Docker has attached it.
          for (const [remote, word] of [
            [one, "one\n"],
            [other, "other\n"],
          ] as const) {
            remote.stdin.write(word);
            await hears(remote, word);
          }
          one.stdin.end("hello\n");
          for (const remote of heard.keys()) await hears(remote, "other\nhello\n");
          await one.close();
          other.stdin.write("again\n");
          await hears(other, "hello\nagain\n");
          await other.close();
        });

        it("forwards 100 connections at once to 127.0.0.1 in the pod, and 20 MiB each way", async () => {
          const { state } = await node.shim.resolve<DockerService>(DockerService).containers.inspect(podId);
          await using server = await startEchoServer(state.pid ?? 0);
          assert.ok(server);
          const { url } = await node.cri.runtime.portForward({ podSandboxId: podId });
          using ports = await connectPortForward(url, { transport });
          const answers = await Promise.all(
            Array.from({ length: 100 }, async () => text(hello(ports.connect(echoPorts.echo)))),
          );
          assert.deepEqual(new Set(answers), new Set(["hello"]));
          const connection = ports.connect(echoPorts.echo);
          const [sent, received] = await Promise.all([pour(connection, 20), digestOf(connection)]);
          assert.equal(received, sent);
          await assert.rejects(text(ports.connect(refusedPort)), /ECONNREFUSED/);
          assert.equal(await text(hello(ports.connect(echoPorts.echo))), "hello");
          assert.equal(await text(hello(ports.connect(echoPorts.echoOverIpv6))), "hello", "over ::1");
        });
      });
    }

    it("keeps the command of a client that vanishes, if it is configured to", async () => {
      const word = `97${engine.replace(".", "")}`;
      const containerId = await start("kept", ["sleep", "86400"]);
      await using keeping = await createShim({
        engine: { kind: "docker", endpoint: dockerd.endpoint },
        network: { plugin: "none" },
        restrictOomScoreAdj: true,
        rootDirectory: `${dockerd.folder}/keeping`,
        logLevel: "error",
        streaming: { keepAbandonedExecs: true },
      });
      await keeping.start();
      const remote = await keeping.exec(containerId, ["sleep", word]);
      await until(async () => (await processesWith(word)).length > 0);
      await remote.close();
      await delay(500);
      assert.equal((await processesWith(word)).length, 1);
      await node.cri.runtime.removeContainer({ containerId });
    });

    it("ends the processes of its sessions when it restarts after a crash", async () => {
      const word = `99${engine.replace(".", "")}`;
      const root = `${dockerd.folder}/killed`;
      const options = {
        engine: { kind: "docker", endpoint: dockerd.endpoint },
        network: { plugin: "none" },
        restrictOomScoreAdj: true,
        rootDirectory: root,
        logLevel: "error",
      } as const;
      const killed = await createShim(options);
      await killed.start();
      await using remote = await killed.exec(main, ["sh", "-c", `sleep ${word}; true`]);
      await until(async () => (await processesWith(word)).length > 0);
      // What a killed process leaves: the note of the exec, and the command. The abandoned session is not ended here.
      await using next = await createShim(options);
      await next.start();
      await until(async () => (await processesWith(word)).length === 0);
      await until(async () => (await readdir(`${root}/streaming/execs`)).length === 0);
      remote.stdout.resume();
      remote.stderr.resume();
      await killed.close();
    });
  });
}

function hello<T extends Writable>(connection: T): T {
  connection.end("hello");
  return connection;
}
