import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { LogFrame } from "../../../src/docker/index.js";
import { BufferPool } from "../../../src/logs/pump/line-buffer.js";
import { LineSink } from "../../../src/logs/pump/line-sink.js";
import type { LogWriter } from "../../../src/logs/pump/log-writer.js";

/** A sink whose clock and timers stand still until they are told to go on. */
function openSink() {
  const clock = { nowMs: 1_000 };
  mock.method(performance, "now", () => clock.nowMs);
  mock.timers.enable({ apis: ["setTimeout"] });
  const writes: string[] = [];
  const writer: Pick<LogWriter, "write"> = {
    write: (lines) => {
      writes.push(lines.toString());
      return Promise.resolve(lines.length);
    },
  };
  const { signal } = new AbortController();
  const nothing = () => undefined;
  const sink = new LineSink({
    writer: writer as LogWriter,
    pool: new BufferPool(),
    signal,
    warning: { failed: nothing, recovered: nothing },
    onWritten: () => undefined,
    onGone: nothing,
  });
  return {
    sink,
    writes,
    pass(ms: number) {
      clock.nowMs += ms;
      mock.timers.tick(ms);
    },
    [Symbol.dispose]() {
      mock.timers.reset();
      mock.restoreAll();
    },
  };
}

function line(text: string): LogFrame {
  return { stream: "stdout", timestampNanos: 1_700_000_000_000_000_000n, data: Buffer.from(`${text}\n`) };
}

/** Lets all happen that waits for no timer. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await nextTurn();
}

describe("LineSink", () => {
  it("writes a line after a silence at once, and batches the next ones for 10 ms", async () => {
    using lab = openSink();
    const { sink, writes } = lab;
    sink.add(line("one"));
    await settle();
    assert.equal(writes.length, 1);
    sink.add(line("two"));
    await settle();
    lab.pass(9);
    sink.add(line("three"));
    await settle();
    assert.equal(writes.length, 1);
    lab.pass(1);
    await settle();
    assert.equal(writes.length, 2);
    assert.match(writes[1] ?? "", /two\n.*three\n$/);
    lab.pass(11);
    sink.add(line("four"));
    await settle();
    assert.equal(writes.length, 3);
  });

  it("does not delay a large write", async () => {
    using lab = openSink();
    const { sink, writes } = lab;
    sink.add(line("one"));
    await settle();
    sink.add(line("two"));
    await settle();
    sink.add(line("x".repeat(64 * 1024)));
    await settle();
    assert.equal(writes.length, 2);
    assert.match(writes[1] ?? "", /two\n.*x\n$/);
  });

  it("does not wait when another program waits for the file, be it before or after", async () => {
    using lab = openSink();
    const { sink, writes } = lab;
    sink.add(line("one"));
    await sink.flushed();
    sink.add(line("two"));
    await settle();
    assert.equal(writes.length, 1);
    const flushed = sink.flushed();
    sink.add(line("three"));
    await flushed;
    assert.match(writes.slice(1).join(""), /two\n.*three\n$/);
    sink.add(line("four"));
    await settle();
    assert.equal(writes.join("").includes("four"), false);
  });
});
