import assert from "node:assert/strict";
import { it } from "node:test";
import { isKind } from "../../../src/base/index.js";
import type { LogFrame } from "../../../src/docker/index.js";
import { collect, rejectsWith, textOf, until, type Scene } from "./scene.js";

const partBytes = 16 * 1024;

/** Reading a container's log. */
export function testLogs(scene: () => Scene): void {
  it("gives both streams apart, in order, with rising times", async () => {
    const { id } = await scene().runToEnd(
      [1, 2, 3].map((i) => `echo out ${i}; sleep 0.2; echo err ${i} >&2; sleep 0.2`).join("; "),
    );
    const frames = await scene().logs(id);
    assert.deepEqual(
      frames.map(({ stream, data }) => `${stream}:${Buffer.from(data).toString()}`),
      [
        "stdout:out 1\n",
        "stderr:err 1\n",
        "stdout:out 2\n",
        "stderr:err 2\n",
        "stdout:out 3\n",
        "stderr:err 3\n",
      ],
    );
    for (const [index, { timestampNanos }] of frames.entries()) {
      assert.ok(timestampNanos > (frames[index - 1]?.timestampNanos ?? 1_500_000_000_000_000_000n));
    }
    assert.equal(textOf(await scene().logs(id, { stderr: false })), "out 1\nout 2\nout 3\n");
    assert.equal(textOf(await scene().logs(id, { stdout: false }), "stderr"), "err 1\nerr 2\nerr 3\n");
  });

  it("starts at a time, which it gives again, and counts lines from the end", async () => {
    const { id } = await scene().runToEnd([1, 2, 3, 4].map((i) => `echo ${i}; sleep 0.02`).join("; "));
    const all = await scene().logs(id);
    const third = all[2]?.timestampNanos;
    assert.ok(third !== undefined);
    assert.equal(textOf(await scene().logs(id, { sinceNanos: third })), "3\n4\n");
    assert.equal(textOf(await scene().logs(id, { sinceNanos: third + 1n })), "4\n");
    assert.equal(textOf(await scene().logs(id, { tailLines: 1 })), "4\n");
    assert.equal(textOf(await scene().logs(id, { tailLines: 0 })), "");
  });

  it("cuts a long line into parts of 16 KiB with one time, of which the last has the newline", async () => {
    const line = "x".repeat(40_000);
    const id = await scene().run(["sh", "-c", 'echo "$1"; echo after', "sh", line]);
    await scene().ended(id);
    const frames = await scene().logs(id);
    assert.deepEqual(
      frames.map(({ data }) => data.length),
      [partBytes, partBytes, 40_001 - 2 * partBytes, "after\n".length],
    );
    assert.equal(textOf(frames), `${line}\nafter\n`);
    const times = frames.map(({ timestampNanos }) => timestampNanos);
    assert.equal(new Set(times.slice(0, 3)).size, 1);
    assert.ok((times[3] ?? 0n) > (times[0] ?? 0n));
  });

  it("leaves a last line without a newline as it is", async () => {
    const { id } = await scene().runToEnd("echo whole; echo -n open");
    assert.equal(textOf(await scene().logs(id)), "whole\nopen");
  });

  it("carries bytes that are no text, and empty lines", async () => {
    const { id } = await scene().runToEnd("echo '\u0001\u001b[1m\n\n\tend'");
    assert.equal(textOf(await scene().logs(id)), "\u0001\u001b[1m\n\n\tend\n");
  });

  it("follows until the container has ended", async () => {
    const id = await scene().run(["sh", "-c", "echo one; sleep 1; echo two; sleep 0.1; echo three; sleep 1"]);
    const seen: { text: string; running: boolean }[] = [];
    for await (const { data } of entriesOf(scene().service.containers.logs(id, { follow: true }))) {
      const { state } = await scene().service.containers.inspect(id);
      seen.push({ text: Buffer.from(data).toString(), running: state.running });
    }
    assert.equal(seen.map(({ text }) => text).join(""), "one\ntwo\nthree\n");
    assert.equal(seen[0]?.running, true, "the first line came while it ran");
    assert.equal((await scene().ended(id)).state.exitCode, 0);
  });

  it("has a last line without a newline after the end, which a follow may miss", async () => {
    const id = await scene().run(["sh", "-c", "echo one; sleep 0.2; echo -n open"]);
    const followed = await scene().logs(id, { follow: true });
    const [first] = followed;
    assert.ok(first);
    assert.equal(textOf([first]), "one\n");
    assert.ok(["one\n", "one\nopen"].includes(textOf(followed)), textOf(followed));
    await scene().ended(id);
    assert.equal(textOf(await scene().logs(id, { sinceNanos: first.timestampNanos })), "one\nopen");
  });

  it("ends at once without follow, after the end, and for a container that never ran", async () => {
    const running = await scene().run(["sh", "-c", "echo ready; sleep 600"]);
    await until("the line", async () => ((await scene().logs(running)).length > 0 ? true : undefined));
    assert.equal(textOf(await scene().logs(running)), "ready\n");
    const { id: ended } = await scene().runToEnd("echo done");
    assert.equal(textOf(await scene().logs(ended, { follow: true })), "done\n");
    const created = await scene().create(["true"]);
    assert.deepEqual(await scene().logs(created), []);
  });

  it("keeps the log of earlier runs", async () => {
    const { id } = await scene().runToEnd("echo again");
    await scene().service.containers.start(id);
    await scene().ended(id);
    assert.equal(textOf(await scene().logs(id)), "again\nagain\n");
  });

  it("shows a terminal's output as stdout, as the terminal wrote it", async () => {
    const { id } = await scene().runToEnd("echo out; echo err >&2", { config: { tty: true } });
    const frames = await scene().logs(id);
    assert.ok(frames.every(({ stream }) => stream === "stdout"));
    assert.equal(textOf(frames), "out\r\nerr\r\n");
  });

  it("ends by its signal and its deadline, and when the reader leaves", async () => {
    const { containers } = scene().service;
    const id = await scene().run(["sh", "-c", "echo ready; sleep 600"]);
    const abort = new AbortController();
    const follow = async () => {
      for await (const { data } of entriesOf(containers.logs(id, { follow: true, signal: abort.signal }))) {
        assert.equal(Buffer.from(data).toString(), "ready\n");
        abort.abort();
      }
    };
    await rejectsWith("cancelled", follow());
    await rejectsWith("deadline-exceeded", collect(containers.logs(id, { follow: true, deadlineMs: 300 })));
    for await (const frame of entriesOf(containers.logs(id, { follow: true }))) {
      assert.equal(frame.stream, "stdout");
      break;
    }
  });

  it("gives the same when it is followed, and with the last entries alone", async () => {
    for (const tty of [false, true]) {
      const script = [1, 2, 3].map((i) => `echo out ${i}; echo err ${i} >&2; `).join("") + "echo -n open";
      const { id } = await scene().runToEnd(script, { config: { tty } });
      const wanted = await scene().logs(id);
      assert.deepEqual(await scene().logs(id, { isTerminal: tty }), wanted);
      assert.deepEqual(await scene().logs(id, { tailLines: 2 }), wanted.slice(-2));
      assert.deepEqual(await scene().logs(id, { follow: true }), wanted);
    }
    await rejectsWith("not-found", scene().logs("f".repeat(64)));
  });

  it("fails when the log driver cannot be read", async () => {
    const { id } = await scene().runToEnd("echo lost", { host: { logConfig: { driver: "none" } } });
    await rejectsWith("unsupported", scene().logs(id));
  });

  it("loses no line of a log that is written fast", async () => {
    const lines = Array.from({ length: 3000 }, (_, index) => `line ${index}`);
    const { id } = await scene().runToEnd(lines.map((line) => `echo ${line}`).join("; "));
    const text = textOf(await scene().logs(id));
    assert.equal(text, lines.map((line) => `${line}\n`).join(""));
  });

  it("ends a follow when its container is removed", async () => {
    const id = await scene().run(["sh", "-c", "echo ready; sleep 600"]);
    let removal: Promise<void> | undefined;
    try {
      for await (const { stream } of entriesOf(scene().service.containers.logs(id, { follow: true }))) {
        assert.equal(stream, "stdout");
        removal ??= scene().service.containers.remove(id, { force: true });
      }
    } catch (error) {
      assert.ok(isKind(error, "not-found", "unavailable"), String(error));
    }
    assert.ok(removal);
    await removal;
  });
}

async function* entriesOf(batches: AsyncIterable<readonly LogFrame[]>): AsyncGenerator<LogFrame> {
  for await (const batch of batches) yield* batch;
}
