import assert from "node:assert/strict";
import { it } from "node:test";
import { isKind } from "../../../src/base/index.js";
import { collect, rejectsWith, textOf, typeCtrlP, until, type Scene } from "./scene.js";

/** Further processes in a container. */
export function testExecs(scene: () => Scene): void {
  it("runs a command, with its streams apart and its exit code", async () => {
    const container = await scene().sleeper();
    const command = ["sh", "-c", "echo out; sleep 0.5; echo err >&2; exit 3"];
    const { id, stream } = await scene().exec(container, { command });
    const frames = await collect(stream.output);
    assert.match(id, /^[0-9a-f]{64}$/);
    assert.equal(textOf(frames), "out\n");
    assert.equal(textOf(frames, "stderr"), "err\n");
    assert.equal(frames[0]?.stream, "stdout", "in the order in which they were written");
    assert.equal(await scene().exitCodeOf(id), 3);
  });

  it("gives only the streams that were asked for", async () => {
    const container = await scene().sleeper();
    const command = ["sh", "-c", "echo out; echo err >&2"];
    const { stream } = await scene().exec(container, { command, stdout: false });
    const frames = await collect(stream.output);
    assert.equal(textOf(frames), "");
    assert.equal(textOf(frames, "stderr"), "err\n");
  });

  it("closes stdin and leaves the output open", async () => {
    const container = await scene().sleeper();
    const command = ["sh", "-c", "cat; echo end of input"];
    const { id, stream } = await scene().exec(container, { command, stdin: true });
    await stream.write(Buffer.from("one\n"));
    await stream.write(Buffer.from("two\n"));
    stream.endInput();
    stream.endInput();
    assert.equal(textOf(await collect(stream.output)), "one\ntwo\nend of input\n");
    assert.equal(await scene().exitCodeOf(id), 0);
  });

  it("carries a megabyte there and back", async () => {
    const container = await scene().sleeper();
    const { stream } = await scene().exec(container, { command: ["cat"], stdin: true });
    const block = Buffer.alloc(64 * 1024, "0123456789abcdef\n");
    const sent = (async () => {
      for (let index = 0; index < 16; index++) await stream.write(block);
      stream.endInput();
    })();
    const frames = await collect(stream.output);
    await sent;
    const received = Buffer.concat(frames.map(({ data }) => data));
    assert.equal(received.length, 16 * block.length);
    assert.ok(received.equals(Buffer.concat(Array.from({ length: 16 }, () => block))));
  });

  it("gives an exec without stdin an empty one", async () => {
    const container = await scene().sleeper();
    const { id, stream } = await scene().exec(container, { command: ["cat"] });
    assert.equal(textOf(await collect(stream.output)), "");
    assert.equal(await scene().exitCodeOf(id), 0);
  });

  it("reports a running exec with its pid", async () => {
    const container = await scene().sleeper();
    const { id, stream } = await scene().exec(container, { command: ["sleep", "600"] });
    const running = await until("the exec to run", async () => {
      const state = await scene().service.execs.inspect(id);
      return state.running && state.pid ? state : undefined;
    });
    assert.equal(running.exitCode, undefined);
    assert.ok((running.pid ?? 0) > 0);
    assert.deepEqual((await scene().service.containers.inspect(container)).execIds.includes(id), true);
    stream.destroy();
    await scene().service.containers.kill(container);
    await scene().ended(container);
    assert.equal((await until("the exec to end", () => ended(scene(), id))).running, false);
  });

  it("has no exit code before it was started", async () => {
    const container = await scene().sleeper();
    const spec = { command: ["true"], tty: false, stdin: false, stdout: true, stderr: true };
    const id = await scene().service.execs.create(container, spec);
    const state = await scene().service.execs.inspect(id);
    assert.deepEqual([state.running, state.exitCode], [false, undefined]);
  });

  it("runs once, however often it is started", async () => {
    const container = await scene().sleeper();
    const { id, stream } = await scene().exec(container, { command: ["sh", "-c", "echo ran; exit 3"] });
    assert.equal(textOf(await collect(stream.output)), "ran\n");
    assert.equal(await scene().exitCodeOf(id), 3);
    try {
      const again = await scene().service.execs.start(id, { tty: false });
      // Docker has answered the upgrade by then, and can say it only in the output.
      assert.notEqual(textOf(await collect(again.output)), "ran\n");
    } catch (error) {
      assert.ok(isKind(error, "conflict"), String(error));
    }
    assert.equal(await scene().exitCodeOf(id), 3);
  });

  it("shows a terminal as one stream, and lets it be resized", async () => {
    const container = await scene().sleeper();
    const command = ["sh", "-c", "echo out; echo err >&2; sleep 2; stty size"];
    const { id, stream } = await scene().exec(container, { command, tty: true });
    await until("the exec to run", async () => {
      const { running, pid } = await scene().service.execs.inspect(id);
      return running && pid ? true : undefined;
    });
    await scene().service.execs.resize(id, { width: 120, height: 50 });
    const frames = await collect(stream.output);
    assert.equal(textOf(frames), "out\r\nerr\r\n50 120\r\n");
    assert.equal(textOf(frames, "stderr"), "");
  });

  it("gives a terminal each key at once, Docker's own detach keys as well", async () => {
    const spec = { command: ["cat"], tty: true, stdin: true };
    await typeCtrlP((await scene().exec(await scene().sleeper(), spec)).stream);
  });

  it("reports that a command is not there, as output or as an error", async () => {
    const container = await scene().sleeper();
    try {
      const { id, stream } = await scene().exec(container, { command: ["/no/such/program"] });
      const output = Buffer.concat((await collect(stream.output)).map(({ data }) => data)).toString();
      assert.match(output, /no such|not found/i);
      assert.ok([126, 127].includes(await scene().exitCodeOf(id)));
    } catch (error) {
      assert.ok(isKind(error, "invalid-argument"), String(error));
    }
    const { id, stream } = await scene().exec(container, { command: ["true"] });
    await collect(stream.output);
    assert.equal(await scene().exitCodeOf(id), 0, "the container is none the worse for it");
  });

  it("refuses an exec in a container that does not run", async () => {
    const spec = { command: ["true"], tty: false, stdin: false, stdout: true, stderr: true };
    const created = await scene().create(["true"]);
    await rejectsWith("conflict", scene().service.execs.create(created, spec));
    const { id } = await scene().runToEnd("true");
    await rejectsWith("conflict", scene().service.execs.create(id, spec));
  });

  it("ends the output of an exec whose container is killed", async () => {
    const container = await scene().sleeper();
    const { id, stream } = await scene().exec(container, { command: ["sh", "-c", "echo up; sleep 600"] });
    const frames: string[] = [];
    for await (const { data } of stream.output) {
      frames.push(Buffer.from(data).toString());
      await scene().service.containers.kill(container);
    }
    assert.deepEqual(frames, ["up\n"]);
    assert.equal((await until("the exec to end", () => ended(scene(), id))).running, false);
  });

  it("ends the output when the holder destroys it, quietly or with the error given", async () => {
    const container = await scene().sleeper();
    const quiet = await scene().exec(container, { command: ["sleep", "600"] });
    const collected = collect(quiet.stream.output);
    quiet.stream.destroy();
    quiet.stream.destroy();
    assert.deepEqual(await collected, []);
    await assert.rejects(quiet.stream.write(Buffer.from("x")));
    const loud = await scene().exec(container, { command: ["sleep", "600"] });
    const failing = collect(loud.stream.output);
    loud.stream.destroy(new Error("the client has gone"));
    await assert.rejects(failing, /the client has gone/);
  });

  it("continues in the container when the client disconnects", async () => {
    const container = await scene().sleeper();
    const { id, stream } = await scene().exec(container, {
      command: ["sh", "-c", "echo up; sleep 0.3; exit 4"],
    });
    for await (const { data } of stream.output) {
      assert.equal(Buffer.from(data).toString(), "up\n");
      break;
    }
    assert.equal(await scene().exitCodeOf(id), 4);
  });
}

async function ended(scene: Scene, execId: string): Promise<{ running: boolean } | undefined> {
  try {
    const state = await scene.service.execs.inspect(execId);
    return state.running ? undefined : state;
  } catch (error) {
    if (isKind(error, "not-found")) return { running: false };
    throw error;
  }
}
