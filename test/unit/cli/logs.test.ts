import assert from "node:assert/strict";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { logs } from "../../../src/cli/logs.js";
import { Captured, runCli } from "./capture.js";

const criLog = [
  "2026-11-23T21:01:02.123456789Z stdout F one",
  "2026-11-23T21:01:03Z stderr F two",
  "2026-11-23T21:01:04.5Z stdout F three",
  "2026-11-23T21:01:05Z stdout P no newline",
  "",
].join("\n");

describe("docker-cri logs", () => {
  let folder: string;
  let path: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "docker-cri-logs-"));
    path = join(folder, "0.log");
    await writeFile(path, criLog);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("prints each line to the stream that the container wrote it to", async () => {
    assert.deepEqual(await runCli(["logs", path]), { code: 0, out: "one\nthree\nno newline", err: "two\n" });
  });

  for (const [flags, out] of [
    [["--tail", "2"], "three\nno newline"],
    [["-n", "0"], ""],
    [["--since", "2026-11-23T21:01:04Z"], "three\nno newline"],
    [["--since", "1h"], ""],
    [["--limit-bytes", "6"], "one\n"],
    [["--limit-bytes", "10"], "one\nth"],
    [["--stream", "stderr"], ""],
    [["-t", "--tail=2"], "2026-11-23T21:01:04.500000000Z three\n2026-11-23T21:01:05.000000000Z no newline"],
  ] as const) {
    it(`prints what ${flags.join(" ")} asks for`, async () => {
      const outcome = await runCli(["logs", path, ...flags]);
      assert.equal(outcome.code, 0);
      assert.equal(outcome.out, out);
    });
  }

  it("follows until it is stopped", async () => {
    const growing = join(folder, "growing.log");
    await writeFile(growing, criLog);
    const stdout = new Captured();
    const end = new AbortController();
    const ended = logs(
      growing,
      { follow: true },
      { stdout, stderr: new Captured(), environment: {} },
      end.signal,
    );
    await appendFile(growing, "\n2026-11-23T21:01:06Z stdout F later\n");
    const deadline = Date.now() + 10_000;
    while (!stdout.text.includes("later\n") && Date.now() < deadline) await sleep(20);
    assert.match(stdout.text, /later\n$/);
    end.abort();
    assert.equal(await ended, 0);
  });

  for (const [args, code, line] of [
    [["/no/such.log"], 1, /^docker-cri: there is no log file \/no\/such\.log\n$/],
    [["PATH", "--tail", "-1"], 2, /^docker-cri: --tail: "-1" is not a number of lines\n$/],
    [["PATH", "--limit-bytes", "1k"], 2, /^docker-cri: --limit-bytes: "1k" is not a number of bytes\n$/],
    [["PATH", "--since", "yesterday"], 2, /^docker-cri: --since: "yesterday" is neither a time/],
    [["PATH", "--stream", "both"], 2, /^docker-cri: --stream: "both" is neither/],
    [[], 2, /^docker-cri: missing required argument 'path'; see docker-cri logs --help\n$/],
  ] as const) {
    it(`reports the problem of ${JSON.stringify(args)}`, async () => {
      const outcome = await runCli(["logs", ...args.map((arg) => (arg === "PATH" ? path : arg))]);
      assert.equal(outcome.code, code);
      assert.match(outcome.err, line);
    });
  }
});
