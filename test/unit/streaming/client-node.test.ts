import { Attach, Cp, Exec, PortForward, type V1Status } from "@kubernetes/client-node";
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { extract, pack } from "tar-stream";
import type { ContainerProcess, Program } from "../../../src/testing/index.js";
import { until } from "../../wire/support/until.js";
import { startApiFront } from "./api-front.js";
import { streamingWorld } from "./world.js";

const echo = async (process: ContainerProcess) => {
  for await (const chunk of process.stdin) await process.stdout.write(chunk);
  await process.stderr.write("end of input\n");
  return 7;
};

async function open(programs: Readonly<Record<string, Program>>) {
  const world = await streamingWorld(programs);
  const front = await startApiFront(world.shim, world.runtime);
  return {
    ...world,
    kubeConfig: front.kubeConfig,
    [Symbol.asyncDispose]: async () => {
      await front[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    },
  };
}

describe("@kubernetes/client-node", { timeout: 60_000 }, () => {
  it("runs a command with stdin, stdout, stderr and the exit code", async () => {
    await using world = await open({ echo });
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const stdin = Readable.from([Buffer.alloc(100_000, "a"), Buffer.from("b")]);
    const { podId, containerId, kubeConfig } = world;
    let status: V1Status | undefined;
    const keep = (ended: V1Status) => (status = ended);
    const exec = new Exec(kubeConfig);
    await exec.exec("default", podId, containerId, ["echo"], stdout, stderr, stdin, false, keep);
    assert.equal(await text(stdout), `${"a".repeat(100_000)}b`);
    assert.equal(await text(stderr), "end of input\n");
    assert.deepEqual(status?.details?.causes, [{ reason: "ExitCode", message: "7" }]);
  });

  it("gives a terminal its size, and each later one", async () => {
    const sizes = async ({ tty, terminalSize, sleep, stdout }: ContainerProcess) => {
      for (const width of [100, 101]) {
        while (terminalSize()?.width !== width) await sleep(5);
        await stdout.write(`${String(tty)} ${width}\n`);
      }
    };
    await using world = await open({ sizes });
    const screen = Object.assign(new PassThrough(), { rows: 30, columns: 100 });
    const { podId, containerId } = world;
    await new Exec(world.kubeConfig).exec("default", podId, containerId, "sizes", screen, null, null, true);
    screen.once("data", () => {
      screen.columns = 101;
      screen.emit("resize");
    });
    assert.equal(await text(screen), "true 100\r\ntrue 101\r\n");
  });

  it("attaches to a container", async () => {
    await using world = await open({});
    const containerId = await world.start(echo, { stdin: true });
    const [stdout, stdin] = [new PassThrough(), new PassThrough()];
    const attach = new Attach(world.kubeConfig);
    const socket = await attach.attach("default", world.podId, containerId, stdout, null, stdin, false);
    stdin.write("hello\n");
    assert.equal(String((await once(stdout, "data"))[0]), "hello\n");
    socket.close();
  });

  it("forwards a port, and reports one that refuses", async () => {
    await using world = await open({});
    await world.start(async ({ listen, sleep }) => {
      listen(8080, (connection) => connection.pipe(connection));
      await sleep(Infinity);
    });
    const forward = async (port: number) => {
      const [output, errors, input] = [new PassThrough(), new PassThrough(), new PassThrough()];
      const ports = new PortForward(world.kubeConfig);
      const socket = await ports.portForward("default", world.podId, [port], output, errors, input);
      return { output, errors, input, socket };
    };
    const { output, input } = await forward(8080);
    input.write("hello");
    assert.equal(String((await once(output, "data"))[0]), "hello");
    input.end();
    const refused = await forward(8081);
    assert.match(String((await once(refused.errors, "data"))[0]), /8081.*ECONNREFUSED/);
  });

  it("copies files into a container, and out of it", async () => {
    const kept = new Map<string, string>();
    const tar = async ({ args, stdin, stdout }: ContainerProcess) => {
      if (args[1] === "xf") {
        const files = extract();
        files.on("entry", (header, content, next) => {
          void text(content).then((data) => {
            if (header.type === "file") kept.set(header.name, data);
            next();
          });
        });
        await pipeline(Readable.from(stdin), files);
      } else {
        const archive = pack();
        for (const [name, data] of kept) archive.entry({ name }, data);
        archive.finalize();
        for await (const chunk of archive) await stdout.write(chunk as Buffer);
      }
    };
    await using world = await open({ tar });
    const folder = await mkdtemp(join(tmpdir(), "client-node-"));
    try {
      const [from, to] = [join(folder, "from"), join(folder, "to")];
      await writeFile(from, "x".repeat(300_000));
      const cp = new Cp(world.kubeConfig);
      await cp.cpToPod("default", world.podId, world.containerId, folder, "/tmp");
      await until(() => kept.size > 0);
      assert.deepEqual([...kept.keys()], ["from"]);
      await cp.cpFromPod("default", world.podId, world.containerId, "from", to, "/tmp");
      const copied = join(to, "from");
      // Its promise does not wait for the copy.
      await until(() => existsSync(copied) && statSync(copied).size === 300_000);
      assert.equal(await readFile(copied, "utf8"), await readFile(from, "utf8"));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
