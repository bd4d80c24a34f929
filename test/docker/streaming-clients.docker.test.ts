import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { DockerService } from "../../src/index.js";
import { echoPorts, refusedPort, startEchoServer } from "./echo-server.js";
import { moduleProgram, openLab, run, type CommandOptions, type Dockerd } from "./lab/index.js";
import { openNode, type NodeInView } from "./proxy/node-in-view.js";
import { startBusybox } from "./streams.js";
import { startFront, type WebSocketRefusingFront } from "./websocket-refusing-front.js";

const lab = openLab();
after(async () => {
  await lab.close();
});

const mebibyte = 1024 * 1024;
const podConfig = { metadata: { name: "clients", namespace: "default", uid: "uid-clients" }, linux: {} };
const outputs = { stdin: false, stdout: true, stderr: true, tty: false };

describe("kubectl's own libraries, on Docker 26.1", { timeout: 300_000 }, () => {
  let dockerd: Dockerd;
  let node: NodeInView;
  let podId: string;
  let main: string;
  let program: string;
  let echo: AsyncDisposable;
  let front: WebSocketRefusingFront;

  before(async () => {
    [program, dockerd] = await Promise.all([
      moduleProgram("kubestream"),
      lab.dockerd({ name: "clients", engine: "26.1", iptables: false }),
    ]);
    node = await openNode(dockerd);
    podId = (await node.cri.runtime.runPodSandbox({ config: podConfig })).podSandboxId;
    main = await start("main", ["sleep", "86400"]);
    const { state } = await node.shim.resolve<DockerService>(DockerService).containers.inspect(podId);
    echo = await startEchoServer(state.pid ?? 0);
    front = await startFront();
  });
  after(async () => {
    await front[Symbol.asyncDispose]();
    await echo[Symbol.asyncDispose]();
    await node.cri.runtime.removePodSandbox({ podSandboxId: podId });
    await node[Symbol.asyncDispose]();
    await dockerd.stop();
  });

  const start = (name: string, command: string[], more: { stdin?: boolean; stdinOnce?: boolean } = {}) =>
    startBusybox(node.cri, podId, podConfig, { metadata: { name }, command, ...more });

  for (const transport of ["spdy", "websocket", "fallback"] as const) {
    /** Runs a mode of the Go program against a URL; a fallback is made to fall back. */
    const args = (mode: string, url: string, ...rest: string[]) => {
      const address = transport === "fallback" ? front.urlOf(url) : url;
      return [mode, "-url", address, "-transport", transport, ...rest];
    };
    const kubestream = (mode: string, url: string, rest: readonly string[], options: CommandOptions = {}) =>
      run(program, args(mode, url, ...rest), { allowFailure: true, timeoutMs: 60_000, ...options });
    const execUrl = async (cmd: string[], streams: Partial<typeof outputs> = {}) =>
      (await node.cri.runtime.exec({ containerId: main, cmd, ...outputs, ...streams })).url;
    const portUrl = async () => (await node.cri.runtime.portForward({ podSandboxId: podId })).url;

    describe(`over ${transport}`, () => {
      it("runs a command with stdin, stdout, stderr and the exit code", async () => {
        const url = await execUrl(["sh", "-c", "cat; echo err >&2; exit 7"], { stdin: true });
        assert.deepEqual(await kubestream("process", url, ["-stdin"], { input: "in\n" }), {
          stdout: "in\n",
          stderr: "err\n",
          exitCode: 7,
        });
      });

      it("carries 20 MiB through a command, both ways", async () => {
        const sent = randomBytes(20 * mebibyte);
        const url = await execUrl(["sh", "-c", "tee /dev/stderr | md5sum"], { stdin: true });
        const child = spawn(program, args("process", url, "-stdin"), { stdio: "pipe" });
        const received = createHash("md5");
        child.stderr.on("data", (data: Buffer) => received.update(data));
        // That it ended too early shows in the digest.
        child.stdin.on("error", () => undefined).end(sent);
        const [answer] = await Promise.all([text(child.stdout), once(child, "close")]);
        const digest = createHash("md5").update(sent).digest("hex");
        assert.deepEqual([answer.split(" ")[0], received.digest("hex")], [digest, digest]);
      });

      it("gives a terminal its first size and each later one", async () => {
        const waitFor = (size: string) => `until [ "$(stty size 2>&1)" = "${size}" ]; do sleep 0.05; done`;
        const script = `${waitFor("45 123")}; echo $TERM; ${waitFor("24 80")}; exit 9`;
        const url = await execUrl(["sh", "-c", script], { tty: true, stderr: false, stdin: true });
        const { stdout, exitCode } = await kubestream("process", url, [
          "-tty",
          "-stdin",
          "-sizes",
          "123x45,80x24",
        ]);
        assert.deepEqual({ stdout, exitCode }, { stdout: "xterm\r\n", exitCode: 9 });
      });

      it("reports a missing command", async () => {
        const url = await execUrl(["no-such-command"]);
        const { stdout, stderr, exitCode } = await kubestream("process", url, []);
        assert.ok(exitCode === 126 || exitCode === 127, `exit code ${exitCode}`);
        // Docker 26 writes it to stdout, with the connection that it has already switched.
        assert.match(stdout + stderr, /no-such-command/);
      });

      it("attaches to a container, and ends its stdin with its own", async () => {
        const command = ["sh", "-c", "cat; echo done"];
        const containerId = await start(`attached-${transport}`, command, { stdin: true, stdinOnce: true });
        const { url } = await node.cri.runtime.attach({ containerId, ...outputs, stdin: true });
        const { stdout, exitCode } = await kubestream("process", url, ["-stdin"], { input: "in\n" });
        assert.deepEqual({ stdout, exitCode }, { stdout: "in\ndone\n", exitCode: 0 });
      });

      it("forwards 50 connections at once from a local port, half-closed by their client", async () => {
        const child = spawn(program, args("forward", await portUrl(), String(echoPorts.count)));
        try {
          child.stderr.pipe(process.stderr);
          const [line] = (await once(child.stdout, "data")) as [Buffer];
          child.stdout.resume();
          const port = Number(/127\.0\.0\.1:(\d+) -> 8083/.exec(line.toString())?.[1]);
          const answers = await Promise.all(
            Array.from({ length: 50 }, async () => {
              const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
              socket.end(Buffer.alloc(100_000));
              return await text(socket);
            }),
          );
          assert.deepEqual(new Set(answers), new Set(["100000 bytes"]));
          child.stdin.end();
          assert.deepEqual(await once(child, "exit"), [0, null]);
        } finally {
          child.kill("SIGKILL");
        }
      });

      it("reports a refused port, and the session continues with others", async () => {
        const { echo: first, echoOverIpv6 } = echoPorts;
        const words = [`${first}:20`, String(refusedPort), `${echoOverIpv6}:20`];
        const { stdout, stderr } = await kubestream("connect", await portUrl(), words);
        assert.equal(stderr, "");
        const lines = stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as { port: number; data: string; error: string });
        const answer = (port: number, request: number) => ({ port, data: `request ${request}`, error: "" });
        const [refused] = lines.splice(20, 1);
        assert.deepEqual(
          lines,
          [...Array(20).keys()]
            .map((index) => answer(first, index + 1))
            .concat([...Array(20).keys()].map((index) => answer(echoOverIpv6, index + 22))),
        );
        assert.ok(refused);
        assert.equal(refused.data, "");
        assert.match(refused.error, /port 8081 .*ECONNREFUSED/);
      });
    });
  }

  it("fell back each time from a WebSocket that was refused", () => {
    assert.ok(front.seen.refused >= 7);
    assert.equal(front.seen.passed, front.seen.refused);
  });
});
