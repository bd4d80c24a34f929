import assert from "node:assert/strict";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { serveUnixSocket } from "../../src/adapters/unix-socket/index.js";
import { DockerService } from "../../src/index.js";
import { echoPorts, startEchoServer } from "./echo-server.js";
import { crictl, openLab } from "./lab/index.js";
import { openNode, type NodeInView } from "./proxy/node-in-view.js";
import { Terminal, untilSize } from "./terminal.js";

const podConfig = { metadata: { name: "terminal", namespace: "default", uid: "uid-terminal" }, linux: {} };

describe("crictl in a real terminal", { timeout: 300_000 }, () => {
  const lab = openLab();
  let node: NodeInView;
  let podId: string;
  let command: string;

  before(async () => {
    const dockerd = await lab.dockerd({ name: "terminal", engine: "20.10", iptables: false });
    node = await openNode(dockerd);
    lab.defer("the shim", () => node.shim.close());
    const path = `${dockerd.folder}/cri.sock`;
    const server = await serveUnixSocket(node.shim, { path });
    lab.defer("the shim's socket", () => server.close());
    command = `${await crictl()} --runtime-endpoint unix://${path} --timeout 60s`;
    podId = (await node.cri.runtime.runPodSandbox({ config: podConfig })).podSandboxId;
  });
  after(() => lab.close());

  async function startShell(name: string) {
    const { containerId } = await node.cri.runtime.createContainer({
      podSandboxId: podId,
      sandboxConfig: podConfig,
      config: {
        metadata: { name },
        image: { image: "busybox:1.36" },
        command: ["sh"],
        stdin: true,
        tty: true,
        linux: {},
      },
    });
    await node.cri.runtime.startContainer({ containerId });
    return containerId;
  }

  for (const transport of ["spdy", "websocket"]) {
    describe(`over ${transport}`, () => {
      it("exec -it: sizes, a key at a time, Ctrl-C, the end", async () => {
        const id = await startShell(`exec-${transport}`);
        const exec = `${command} exec -it --transport ${transport} ${id} sh`;
        await using terminal = await Terminal.open(exec, { width: 100, height: 30 });
        await terminal.followsItsSize();
        // The shell's own history.
        await terminal.type("Up");
        await terminal.shows(/[#$] clear; stty size$/);
        // A process of its own says when Ctrl-C reaches it: the shell itself may miss one between two commands.
        const loop = "sh -c 'trap exit INT; echo going; while :; do sleep 1; done'";
        await terminal.type("C-u", loop, "Enter");
        await terminal.shows(/^going$/m);
        await terminal.type("C-c");
        await terminal.type("echo alive-$((1 + 1))", "Enter");
        await terminal.shows(/^alive-2$/m);
        await terminal.type("exit 3", "Enter");
        await terminal.shows(/exit code [1-9]/);
      });

      it("attach -it: the container's own shell, which outlives its terminal", async () => {
        const containerId = await startShell(`attach-${transport}`);
        const attach = `${command} attach -it --transport ${transport} ${containerId}`;
        for (const round of [1, 2]) {
          await using terminal = await Terminal.open(attach, { width: 90, height: 20 });
          // A shell that has shown its prompt shows nothing to a new client.
          await terminal.type("Enter");
          await terminal.shows(/[#$]$/);
          await terminal.type(`${untilSize(90, 20)}; echo round-$((${round} + 10))`, "Enter");
          await terminal.shows(new RegExp(`^round-${round + 10}$`, "m"));
        }
        await using leaving = await Terminal.open(attach, { width: 90, height: 20 });
        await leaving.type("Enter");
        await leaving.shows(/[#$]$/);
        // crictl's own keys: it ends its input, and waits for the session to end.
        await leaving.type("C-p", "C-q");
        await leaving.shows(/exit code 0/);
        const { status } = await node.cri.runtime.containerStatus({ containerId });
        assert.equal(status?.exitCode, 0);
        assert.equal(status.finishedAt, 0n);
      });

      it("port-forward: a local port, until Ctrl-C", async () => {
        const { state } = await node.shim.resolve<DockerService>(DockerService).containers.inspect(podId);
        await using server = await startEchoServer(state.pid ?? 0);
        assert.ok(server);
        const forward = `${command} port-forward --transport ${transport} ${podId} 0:${echoPorts.count}`;
        await using terminal = await Terminal.open(forward, { width: 100, height: 30 });
        const [, port] = await terminal.shows(/127\.0\.0\.1:(\d+) -> 8083/);
        const socket = connect({ port: Number(port), host: "127.0.0.1", allowHalfOpen: true });
        socket.end("hello");
        assert.equal(await text(socket), "5 bytes");
        await terminal.type("C-c");
        await terminal.shows(/exit code 0/);
      });
    });
  }
});
