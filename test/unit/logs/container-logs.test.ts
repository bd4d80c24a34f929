import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isKind, ShimError } from "../../../src/base/index.js";
import { expected, LogLab, path, root, until } from "./lab.js";

describe("ContainerLogs", () => {
  it("writes every entry of both streams, from the first to the last", async () => {
    await using lab = new LogLab();
    const { docker } = lab;
    docker.state = "created";
    const logs = lab.shim();
    await logs.start(lab.target);
    assert.equal(lab.read(), "");
    assert.equal(lab.host.tree.stat(path)?.mode, 0o640);
    docker.say("stdout", "before anybody listens\n");
    docker.state = "running";
    await logs.started(docker.id);
    docker.say("stderr", "to the other stream\n");
    docker.say("stdout", "\n");
    docker.say("stdout", Buffer.from([0, 255, 13, 10]));
    docker.say("stdout", "x".repeat(16_384), docker.tick());
    docker.say("stdout", "and its end\n", docker.said.at(-1)!.timestampNanos);
    docker.say("stdout", "no newline at the end");
    docker.exit();
    assert.equal(await logs.finish(docker.id), true);
    assert.equal(lab.read(), expected(docker.said));
    assert.match(
      lab.read().split("\n")[0]!,
      /^2023-11-14T22:13:20\.123457789Z stdout F before anybody listens$/,
    );
    assert.deepEqual(logs.counts, { kept: 1, active: 0 });
    await logs.remove(lab.target);
    assert.equal(lab.read(), expected(docker.said), "the file is kubelet's to delete");
    assert.deepEqual(logs.counts, { kept: 0, active: 0 });
    assert.equal(lab.files.openFiles, 0);
  });

  it("finds the start of a container without a report", async () => {
    await using lab = new LogLab();
    lab.docker.state = "created";
    const logs = lab.shim();
    await logs.start(lab.target);
    lab.docker.state = "running";
    lab.docker.say("stdout", "hello\n");
    await until("the line is there", () => lab.read() === expected(lab.docker.said));
  });

  it("takes newlines inside an entry for ends of lines", async () => {
    await using lab = new LogLab();
    lab.docker.say("stdout", "one\ntwo\n\nthree");
    const nanos = lab.docker.said[0]!.timestampNanos;
    const first = await lab.resumed();
    lab.docker.say("stdout", "four\n");
    const wanted = expected(
      ["one\n", "two\n", "\n", "three"]
        .map((text) => ({ stream: "stdout" as const, timestampNanos: nanos, data: Buffer.from(text) }))
        .concat({ ...lab.docker.said[1]!, data: Buffer.from("four\n"), stream: "stdout" }),
    );
    await until("five lines", () => lab.read() === wanted);
    lab.kill(first);
    // The entry was written in part: what is left of it is known by its text.
    lab.host.tree.replace(path, wanted.split("\n").slice(0, 2).join("\n") + "\n", 0o640);
    await lab.resumed();
    await until("five lines again", () => lab.read() === wanted);
  });

  it("resumes after the last line when the shim restarts, with one search of Docker's last entries", async () => {
    await using lab = new LogLab();
    const first = await lab.resumed();
    for (let n = 0; n < 500; n++) lab.docker.say(n % 3 === 0 ? "stderr" : "stdout", `line ${n}\n`);
    await until("all lines", () => lab.read() === expected(lab.docker.said));
    await first.close();
    lab.docker.say("stdout", "while nobody looked\n");
    lab.docker.calls.length = 0;
    await lab.resumed();
    await until("the last line", () => lab.read() === expected(lab.docker.said));
    await until("a follow", () => lab.docker.calls.length === 2);
    assert.deepEqual(
      lab.docker.calls.map(({ tailLines, follow }) => ({ tailLines, follow })),
      [
        { tailLines: 64, follow: false },
        { tailLines: 1024, follow: true },
      ],
    );
    assert.deepEqual(lab.warnings(), []);
  });

  it("completes the log of a container that ended while no shim ran", async () => {
    await using lab = new LogLab();
    lab.docker.say("stdout", "one\n");
    lab.docker.say("stdout", "two\n");
    lab.docker.exit();
    const logs = await lab.resumed();
    assert.equal(await logs.finish(lab.docker.id), true);
    assert.equal(lab.read(), expected(lab.docker.said));
    // And once more: nothing is written twice.
    await logs.close();
    const again = await lab.resumed();
    assert.equal(await again.finish(lab.docker.id), true);
    assert.equal(lab.read(), expected(lab.docker.said));
  });

  it("survives a broken stream and an unavailable engine", async () => {
    await using lab = new LogLab();
    const logs = await lab.resumed();
    lab.docker.say("stdout", "one\n");
    await until("one line", () => lab.read() === expected(lab.docker.said));
    lab.docker.failures.push(
      new ShimError("unavailable", "dockerd is away"),
      new ShimError("unavailable", "still"),
    );
    lab.docker.breakStreams();
    lab.docker.say("stdout", "two\n");
    await until("two lines", () => lab.read() === expected(lab.docker.said));
    lab.docker.exit();
    assert.equal(await logs.finish(lab.docker.id), true);
    assert.equal(lab.warnings().length, 1, "one warning for the whole time");
  });

  it("ends when the container was removed, and when its log cannot be read", async () => {
    await using lab = new LogLab();
    lab.docker.failures.push(new ShimError("not-found", "no such container"));
    const logs = await lab.resumed();
    await until("nothing is kept", () => logs.counts.kept === 0);
    lab.docker.failures.push(new ShimError("unsupported", "the driver none cannot be read"));
    const other = await lab.resumed();
    assert.equal(await other.finish(lab.docker.id), true);
    assert.match(lab.warnings()[0]!.msg, /log driver cannot be read/);
  });

  it("waits no longer than the deadline for a log that cannot be completed", async () => {
    await using lab = new LogLab();
    lab.files.freeBytes = 0;
    const logs = await lab.resumed();
    lab.docker.say("stdout", "one\n");
    lab.docker.exit();
    assert.equal(await logs.finish(lab.docker.id, { deadlineMs: 50 }), false);
    lab.files.freeBytes = Infinity;
    assert.equal(await logs.finish(lab.docker.id), true);
    assert.equal(lab.read(), expected(lab.docker.said));
  });

  it("cuts a stream that does not end by itself once the container has", async () => {
    await using lab = new LogLab();
    lab.docker.deafFollows = 1;
    const logs = await lab.resumed();
    lab.docker.say("stdout", "one\n");
    await until("a follow", () => lab.docker.openStreams === 1);
    lab.docker.state = "exited";
    assert.equal(await logs.finish(lab.docker.id), true);
    assert.equal(lab.read(), expected(lab.docker.said));
  });

  it("keeps no log without a log path", async () => {
    await using lab = new LogLab();
    const logs = lab.shim();
    await logs.start({ id: lab.docker.id, logPath: "" });
    assert.deepEqual(logs.counts, { kept: 0, active: 0 });
    await assert.rejects(logs.reopen(lab.docker.id), (error) => isKind(error, "failed-precondition"));
    assert.equal(await logs.finish(lab.docker.id), true);
    await logs.remove({ id: lab.docker.id, logPath: "" });
  });

  it("refuses a log that a link would lead out of the pod's directory", async () => {
    await using lab = new LogLab();
    lab.host.tree.makeDirectory(root);
    lab.host.tree.symlink("/etc", `${root}/app`);
    const logs = lab.shim();
    await assert.rejects(
      logs.start(lab.target),
      (error) => isKind(error, "failed-precondition") && /0\.log|app/.test(error.message),
    );
    assert.equal(lab.host.tree.exists("/etc/0.log"), false);
    assert.deepEqual(logs.counts, { kept: 0, active: 0 });
    assert.equal(lab.files.openFiles, 0);
  });

  it("replaces a link that an older container left at the log path", async () => {
    await using lab = new LogLab();
    lab.host.tree.makeDirectory(`${root}/app`);
    lab.host.tree.symlink("/etc/passwd", path);
    const logs = lab.shim();
    lab.docker.say("stdout", "one\n");
    await logs.start(lab.target);
    await logs.started(lab.docker.id);
    await until("the line", () => lab.read() === expected(lab.docker.said));
    assert.equal(lab.host.tree.stat(path)?.kind, "file");
    assert.equal(lab.host.tree.exists("/etc/passwd"), false);
  });

  it("starts a container whose log cannot be made yet, and writes it later", async () => {
    await using lab = new LogLab();
    const release = lab.host.faults.on("logFiles.openAppend", { code: "ENOSPC" });
    const logs = lab.shim();
    lab.docker.say("stdout", "one\n");
    await logs.start(lab.target);
    await logs.started(lab.docker.id);
    assert.match(lab.warnings()[0]!.msg, /cannot write container log files/);
    await assert.rejects(logs.reopen(lab.docker.id), (error) => isKind(error, "resource-exhausted"));
    release();
    await until("the line", () => lab.read() === expected(lab.docker.said));
  });

  it("refuses a path that is too long, and removes the container that has one", async () => {
    for (const mode of ["cri", "docker-json"] as const) {
      await using lab = new LogLab();
      lab.host.tree.makeDirectory(root);
      const logs = lab.shim({ mode });
      const target = { ...lab.target, logPath: `${root}/${"n".repeat(256)}` };
      await assert.rejects(logs.start(target), (error) => isKind(error, "failed-precondition"));
      await logs.remove(target);
    }
  });

  it("sends Docker no request for a known container", async () => {
    await using lab = new LogLab();
    const container = { ...(await lab.docker.inspect()), config: { tty: false } };
    lab.docker.inspects = 0;
    const logs = lab.shim();
    lab.docker.say("stdout", "one\n");
    await logs.resume([{ ...lab.target, container }]);
    await until("the line", () => lab.read() === expected(lab.docker.said));
    assert.equal(lab.docker.inspects, 0);
    const terminal = lab.docker.calls.map(({ isTerminal }) => isTerminal);
    assert.ok(terminal.length > 0 && terminal.every((known) => known === false));
  });

  it("closes everything, and continues nowhere afterwards", async () => {
    await using lab = new LogLab();
    const logs = await lab.resumed();
    lab.docker.say("stdout", "one\n");
    await until("the line", () => lab.read() === expected(lab.docker.said));
    await logs.close();
    await logs.close();
    await logs.resume([lab.target]);
    await logs.start(lab.target);
    assert.deepEqual(logs.counts, { kept: 0, active: 0 });
    assert.equal(lab.files.openFiles, 0);
    assert.equal(lab.host.logFiles.open, 0);
  });
});
