import assert from "node:assert/strict";
import { it } from "node:test";
import { collect, rejectsWith, textOf, typeCtrlP, until, type Scene } from "./scene.js";

const all = { stdin: true, stdout: true, stderr: true, tty: false };

/** Attaching to a container's first process. */
export function testAttach(scene: () => Scene): void {
  it("delivers output from now on, until the process ends", async () => {
    const { containers } = scene().service;
    const id = await scene().run(["sh", "-c", "read line; echo got $line; echo err >&2; exit 2"], {
      config: { openStdin: true, stdinOnce: true },
    });
    const stream = await containers.attach(id, all);
    const frames = collect(stream.output);
    await stream.write(Buffer.from("hello\n"));
    assert.equal(textOf(await frames), "got hello\n");
    assert.equal(textOf(await frames, "stderr"), "err\n");
    assert.equal((await scene().ended(id)).state.exitCode, 2);
  });

  it("closes the stdin of a container that has it for one client", async () => {
    const { containers } = scene().service;
    const id = await scene().run(["sh", "-c", "cat; echo end of input"], {
      config: { openStdin: true, stdinOnce: true },
    });
    const stream = await containers.attach(id, all);
    await stream.write(Buffer.from("one\n"));
    stream.endInput();
    assert.equal(textOf(await collect(stream.output)), "one\nend of input\n");
    assert.equal((await scene().ended(id)).state.exitCode, 0);
  });

  it("lets the container go on when the client leaves", async () => {
    const { containers } = scene().service;
    const id = await scene().run(["sh", "-c", "echo tick; sleep 0.05; ".repeat(1000)]);
    const stream = await containers.attach(id, { ...all, stdin: false });
    for await (const { data } of stream.output) {
      assert.match(Buffer.from(data).toString(), /tick/);
      break;
    }
    assert.equal((await containers.inspect(id)).state.running, true);
    const again = await containers.attach(id, { ...all, stdin: false });
    const collected = collect(again.output);
    await containers.kill(id);
    assert.equal(
      (await collected).every(({ stream: name }) => name === "stdout"),
      true,
    );
  });

  it("gives two clients the same", async () => {
    const { containers } = scene().service;
    const id = await scene().run(["sh", "-c", "read line; echo got $line"], {
      config: { openStdin: true, stdinOnce: false },
    });
    const watcher = await containers.attach(id, { ...all, stdin: false });
    const writer = await containers.attach(id, all);
    const outputs = Promise.all([collect(watcher.output), collect(writer.output)]);
    await writer.write(Buffer.from("hello\n"));
    for (const frames of await outputs) assert.equal(textOf(frames), "got hello\n");
  });

  it("carries a terminal as one raw stream", async () => {
    const { containers } = scene().service;
    const id = await scene().run(["sh", "-c", "read line; echo got $line"], {
      config: { openStdin: true, tty: true },
    });
    const stream = await containers.attach(id, { ...all, tty: true });
    const frames = collect(stream.output);
    await stream.write(Buffer.from("hello\n"));
    assert.match(textOf(await frames), /got hello\r\n$/);
    assert.ok((await frames).every(({ stream: name }) => name === "stdout"));
  });

  it("gives a terminal each key at once, Docker's own detach keys as well", async () => {
    const id = await scene().run(["cat"], { config: { openStdin: true, tty: true } });
    await typeCtrlP(await scene().service.containers.attach(id, { ...all, tty: true }));
  });

  it("refuses a container that does not run", async () => {
    const id = await scene().create(["true"]);
    await rejectsWith("conflict", scene().service.containers.attach(id, all));
  });

  it("ends quietly when the container is killed", async () => {
    const { containers } = scene().service;
    const id = await scene().sleeper();
    const stream = await containers.attach(id, { ...all, stdin: false });
    const collected = collect(stream.output);
    await containers.kill(id);
    assert.deepEqual(await collected, []);
    await until("writes to fail", () =>
      stream.write(Buffer.from("x")).then(
        () => undefined,
        () => true,
      ),
    );
  });
}
