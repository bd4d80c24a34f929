import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isKind } from "../../../src/base/index.js";
import { expected, LogLab, path, root, until } from "./lab.js";

const rotated = `${path}.20240101-000000`;

describe("a log that is reopened", () => {
  it("writes the next line to the new file only", async () => {
    await using lab = new LogLab();
    const logs = await lab.resumed();
    lab.docker.say("stdout", "one\n");
    await until("a line", () => lab.read() !== "");
    lab.host.tree.rename(path, rotated);
    lab.docker.say("stdout", "two\n");
    await until("a line in the renamed file", () => lab.read(rotated).includes("two"));
    await logs.reopen(lab.docker.id);
    assert.equal(lab.read(), "", "the new file is there at once");
    assert.equal(lab.host.tree.stat(path)?.mode, 0o640);
    lab.docker.say("stdout", "three\n");
    await until("a line", () => lab.read() !== "");
    assert.equal(lab.read(rotated), expected(lab.docker.said.slice(0, 2)));
    assert.equal(lab.read(), expected(lab.docker.said.slice(2)));
    assert.equal(lab.files.openFiles, 1);
  });

  it("keeps its place while the new file is empty", async () => {
    await using lab = new LogLab();
    const logs = await lab.resumed();
    lab.docker.say("stdout", "one\n");
    await until("a line", () => lab.read() !== "");
    // Not kubelet's way to name it: only the open file tells where the log goes on.
    lab.host.tree.rename(path, `${path}.old`);
    await logs.reopen(lab.docker.id);
    lab.docker.breakStreams();
    lab.docker.say("stdout", "two\n");
    await until("a line", () => lab.read() === expected(lab.docker.said.slice(1)));
    assert.equal(lab.read(`${path}.old`), expected(lab.docker.said.slice(0, 1)));
  });

  it("continues in the same file when it was not renamed", async () => {
    await using lab = new LogLab();
    const logs = await lab.resumed();
    lab.docker.say("stdout", "one\n");
    await until("a line", () => lab.read() !== "");
    await logs.reopen(lab.docker.id);
    lab.docker.say("stdout", "two\n");
    await until("two lines", () => lab.read() === expected(lab.docker.said));
    assert.equal(lab.files.openFiles, 1);
  });

  it("leaves no file open when the new one cannot be inspected", async () => {
    await using lab = new LogLab();
    const logs = await lab.resumed();
    lab.docker.say("stdout", "one\n");
    await until("a line", () => lab.read() !== "");
    lab.host.tree.rename(path, rotated);
    lab.host.faults.on("logFiles.stat", { code: "EIO", times: 1 });
    await assert.rejects(logs.reopen(lab.docker.id), /EIO/);
    assert.equal(lab.files.openFiles, 1);
  });

  it("works for a container that has just ended, until its log is complete", async () => {
    await using lab = new LogLab();
    const logs = await lab.resumed();
    lab.docker.say("stdout", "one\n");
    await until("a line", () => lab.read() !== "");
    lab.files.delayMs = 50;
    lab.docker.say("stdout", "two\n");
    lab.docker.exit();
    lab.host.tree.rename(path, rotated);
    await logs.reopen(lab.docker.id);
    assert.equal(await logs.finish(lab.docker.id), true);
    assert.equal(lab.read(rotated) + lab.read(), expected(lab.docker.said));
    await assert.rejects(
      logs.reopen(lab.docker.id),
      (error) => isKind(error, "failed-precondition") && error.message.includes("its log is complete"),
    );
    await assert.rejects(logs.reopen("unknown"), (error) => isKind(error, "failed-precondition"));
  });

  it("writes on into the old file when the new one cannot be made", async () => {
    await using lab = new LogLab();
    const logs = await lab.resumed();
    lab.docker.say("stdout", "one\n");
    await until("a line", () => lab.read() !== "");
    lab.host.tree.rename(path, rotated);
    lab.host.tree.symlink("/etc/passwd", path);
    await assert.rejects(logs.reopen(lab.docker.id), (error) => isKind(error, "failed-precondition"));
    lab.host.tree.remove(path);
    const release = lab.host.faults.on("logFiles.openAppend", { code: "ENOSPC" });
    await assert.rejects(logs.reopen(lab.docker.id), (error) => isKind(error, "resource-exhausted"));
    release();
    // Kubelet renames it back.
    lab.host.tree.rename(rotated, path);
    lab.docker.say("stdout", "two\n");
    await until("two lines", () => lab.read() === expected(lab.docker.said));
  });

  it("resumes when kubelet moves the old file back over the new one", async () => {
    await using lab = new LogLab();
    await lab.resumed();
    for (let n = 0; n < 10; n++) lab.docker.say("stdout", `one ${n}\n`);
    await until("ten lines", () => lab.read() === expected(lab.docker.said));
    const old = Buffer.from(lab.read(), "latin1").subarray(0, -200);
    lab.host.tree.replace(path, old, 0o640);
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    lab.docker.say("stdout", "two\n");
    await until("the whole log", () => lab.read() === expected(lab.docker.said));
  });

  it("continues in a new file when another program deletes the old one", async () => {
    await using lab = new LogLab();
    await lab.resumed();
    lab.docker.say("stdout", "one\n");
    await until("a line", () => lab.read() !== "");
    lab.host.tree.remove(path);
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    lab.docker.say("stdout", "two\n");
    await until("a line", () => lab.read() === expected(lab.docker.said.slice(1)));
    assert.deepEqual(lab.host.tree.list(`${root}/app`), ["0.log"]);
  });
});

describe("a log on a disk that is full or slow", () => {
  it("loses no line, logs one warning, and blocks Docker", async () => {
    await using lab = new LogLab();
    const logs = await lab.resumed();
    lab.files.freeBytes = 1_000;
    const text = `${"x".repeat(16_000)}\n`;
    for (let n = 0; n < 200; n++) lab.docker.say("stdout", n % 10 === 0 ? `${n}\n` : text);
    await until("trouble", () => lab.warnings().length > 0);
    assert.match(lab.warnings()[0]!.msg, /cannot write container log files/);
    assert.match(String(lab.warnings()[0]!["err"]), /ENOSPC/);
    assert.ok(lab.read().endsWith("\n"), "no line is torn");
    assert.ok(expected(lab.docker.said).startsWith(lab.read()));
    lab.files.freeBytes = 500_000;
    await until("more lines", () => lab.read().length > 400_000);
    lab.files.freeBytes = Infinity;
    lab.docker.exit();
    assert.equal(await logs.finish(lab.docker.id), true);
    assert.equal(lab.read(), expected(lab.docker.said));
    const troubles = lab.lines.filter(({ msg }) => msg.includes("cannot write"));
    const reliefs = lab.lines.filter(({ msg }) => msg.includes("can be written again"));
    assert.equal(reliefs.length, troubles.length);
    assert.ok(troubles.length <= 3, `said ${troubles.length} times`);
  });

  it("bounds memory when the disk is slow", async () => {
    await using lab = new LogLab();
    lab.files.delayMs = 5;
    const { docker } = lab;
    const lineBytes = 42 + 16_384;
    let most = 0;
    const original = docker.logs.bind(docker);
    docker.logs = async function* (...args) {
      for await (const batch of original(...args)) {
        const [, options] = args;
        const [frame] = batch;
        assert.ok(frame);
        // Searches run through the log without keeping it.
        if (options?.follow && options.tailLines === undefined)
          most = Math.max(most, docker.said.indexOf(frame) * lineBytes - lab.files.writtenBytes);
        yield batch;
      }
    };
    const logs = await lab.resumed();
    for (let n = 0; n < 300; n++) docker.say("stdout", "y".repeat(16_384), docker.tick());
    docker.exit();
    assert.equal(await logs.finish(docker.id), true);
    assert.equal(lab.read(), expected(docker.said));
    assert.ok(most > 100_000 && most < 1024 * 1024, `${most} bytes were in memory`);
  });
});

describe("a log that Docker rotates while it is followed", () => {
  const json = "/var/lib/docker/containers/c/c-json.log";

  async function following(): Promise<LogLab> {
    const lab = new LogLab();
    lab.host.tree.makeDirectory("/var/lib/docker/containers/c");
    lab.host.tree.replace(json, "", 0o640);
    Object.assign(lab.docker, { logPath: json, maxSize: "10m" });
    await lab.resumed();
    lab.docker.say("stdout", "one\n");
    await until("a line", () => lab.read() !== "");
    return lab;
  }

  function rotateDocker(lab: LogLab): void {
    lab.host.tree.rename(json, `${json}.1`);
    lab.host.tree.replace(json, "", 0o640);
  }

  function sayMore(lab: LogLab): void {
    for (let n = 0; n < 100; n++) lab.docker.say("stdout", `more ${n}\n`, lab.docker.tick(1_000_000n));
  }

  it("has the lines that the follow skipped, as long as Docker still has them", async () => {
    await using lab = await following();
    rotateDocker(lab);
    lab.docker.skips = 60;
    sayMore(lab);
    await until("all lines", () => lab.read() === expected(lab.docker.said));
    assert.deepEqual(lab.warnings(), []);
    assert.equal(lab.docker.calls.filter(({ follow }) => follow).length, 2);
  });

  it("logs between which times the follow has lost lines", async () => {
    await using lab = await following();
    rotateDocker(lab);
    lab.docker.rotatedAway = 60;
    sayMore(lab);
    const { said } = lab.docker;
    await until("the rest", () => lab.read() === expected([said[0]!, ...said.slice(60)]));
    const [warning] = lab.warnings();
    assert.match(warning!.msg, /no longer holds/);
    assert.equal(warning!["after"], lab.read().split(" ")[0]);
  });

  it("has no line twice when the follow begins the newest file once more", async () => {
    for (const repeats of [1, 2, 40]) {
      await using lab = await following();
      rotateDocker(lab);
      for (let n = 0; n < 50; n++) lab.docker.say("stdout", `more ${n}\n`);
      await until("the lines", () => lab.read() === expected(lab.docker.said));
      lab.docker.repeats = repeats;
      lab.docker.say("stdout", "last\n");
      await until("the last line", () => lab.read().includes("last"));
      assert.equal(lab.read(), expected(lab.docker.said));
    }
  });

  it("is followed on when nothing was rotated between two lines, or nothing can be between them", async () => {
    await using lab = await following();
    lab.docker.say("stdout", "much later\n", lab.docker.tick(3_600_000_000_000n));
    await until("a line", () => lab.read() === expected(lab.docker.said));
    rotateDocker(lab);
    lab.docker.say("stdout", "at once\n");
    await until("a line", () => lab.read() === expected(lab.docker.said));
    assert.equal(lab.docker.calls.filter(({ follow }) => follow).length, 1);
    lab.docker.say("stdout", "later\n", lab.docker.tick(1_000_000_000n));
    await until("a line", () => lab.read() === expected(lab.docker.said));
    assert.equal(lab.docker.calls.filter(({ follow }) => follow).length, 2);
  });

  it("is begun again when Docker's files cannot be seen and a line comes far too late", async () => {
    await using lab = new LogLab();
    lab.docker.maxSize = "10m";
    await lab.resumed();
    const now = BigInt(Date.now()) * 1_000_000n;
    lab.docker.say("stdout", "in time\n", now);
    lab.docker.say("stdout", "also\n", now + 100_000_000n);
    await until("two lines", () => lab.read() === expected(lab.docker.said));
    lab.docker.say("stdout", "an old one\n", now - 60_000_000_000n);
    lab.docker.say("stdout", "late\n", now - 30_000_000_000n);
    await until("four lines", () => lab.read() === expected(lab.docker.said));
    assert.equal(lab.docker.calls.filter(({ follow }) => follow).length, 2);
  });
});
