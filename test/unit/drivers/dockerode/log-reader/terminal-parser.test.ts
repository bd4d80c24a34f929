import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseRfc3339Nanos } from "../../../../../src/base/index.js";
import type { LogFrame } from "../../../../../src/docker/index.js";
import { Malformed } from "../../../../../src/drivers/dockerode/failures.js";
import { TerminalParser } from "../../../../../src/drivers/dockerode/log-reader/terminal-parser.js";
import { chunked, collect } from "../fake-engine.js";

const first = "2026-01-02T03:04:05.000000001Z";
const second = "2026-01-02T03:04:05.123456789Z";
const nanos = (stamp: string) => parseRfc3339Nanos(stamp);
const shown = (entries: readonly LogFrame[]) =>
  entries.map(({ stream, timestampNanos, data }) => [stream, timestampNanos, Buffer.from(data).toString()]);

async function* terminalEntries(chunks: AsyncIterable<Buffer>): AsyncGenerator<LogFrame> {
  const parser = new TerminalParser();
  for await (const chunk of chunks) {
    const entries: LogFrame[] = [];
    parser.push(chunk, entries);
    yield* entries;
  }
  const last: LogFrame[] = [];
  parser.end(last);
  yield* last;
}

describe("TerminalParser", () => {
  const part = "x".repeat(16_384);

  it("splits at newlines, and where Docker cut a long line", async () => {
    const bytes = Buffer.from(
      `${first} hi\r\n${second} ${part}${second} ${part}${second} tail\n${second} \n`,
    );
    const wanted = [
      ["stdout", nanos(first), "hi\r\n"],
      ["stdout", nanos(second), part],
      ["stdout", nanos(second), part],
      ["stdout", nanos(second), "tail\n"],
      ["stdout", nanos(second), "\n"],
    ];
    for (const size of [1, 31, 1000, 16_384, 16_415, 16_446, bytes.length])
      assert.deepEqual(
        shown(await collect(terminalEntries(chunked(bytes, size)))),
        wanted,
        `pieces of ${size}`,
      );
  });

  it("gives a last line without a newline, and a long line that was never cut", async () => {
    const long = "y".repeat(40_000);
    const bytes = Buffer.from(`${first} ${long}\n${second} no newline`);
    assert.deepEqual(shown(await collect(terminalEntries(chunked(bytes, 5000)))), [
      ["stdout", nanos(first), `${long}\n`],
      ["stdout", nanos(second), "no newline"],
    ]);
  });

  it("does not take a program's own output for a timestamp", async () => {
    const line = `${"z".repeat(100)}${second} and more`;
    assert.deepEqual(shown(await collect(terminalEntries(chunked(Buffer.from(`${first} ${line}\n`), 64)))), [
      ["stdout", nanos(first), `${line}\n`],
    ]);
  });

  it("gives an entry as soon as its newline is there", async () => {
    const entries = terminalEntries(chunked(Buffer.from(`${first} now\n`), 99));
    assert.equal((await entries.next()).done, false);
  });

  it("refuses anything but a log", async () => {
    for (const text of ["garbage that is longer than a timestamp\n", "short", `${first}_no space after it\n`])
      await assert.rejects(collect(terminalEntries(chunked(Buffer.from(text), 7))), Malformed);
  });

  it("refuses an endless line", async () => {
    const chunk = Buffer.alloc(4 * 1024 * 1024, "x");
    const endless = async function* () {
      yield Buffer.from(`${first} `);
      for (let count = 0; count < 10; count++) yield await Promise.resolve(chunk);
    };
    await assert.rejects(collect(terminalEntries(endless())), Malformed);
  });
});
