import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isKind } from "../../../src/base/index.js";
import { expected, LogLab, path, root, until } from "./lab.js";

const json = "/var/lib/docker/containers/c/c-json.log";

describe("log mode docker-json", () => {
  it("links Docker's file once the container runs, in place of whatever was there", async () => {
    await using lab = new LogLab();
    lab.docker.state = "created";
    lab.host.tree.makeDirectory(`${root}/app`);
    lab.host.tree.replace(path, "old", 0o640);
    const logs = lab.shim({ mode: "docker-json" });
    await logs.start(lab.target);
    lab.docker.state = "running";
    lab.docker.logPath = json;
    await logs.started(lab.docker.id);
    assert.equal(lab.host.tree.stat(path)?.kind, "link");
    lab.host.tree.makeDirectory("/var/lib/docker/containers/c");
    lab.host.tree.replace(json, "of docker", 0o640);
    assert.equal(lab.read(), "of docker");
    assert.equal(await logs.finish(lab.docker.id), true);
    await assert.rejects(
      logs.reopen(lab.docker.id),
      (error) => isKind(error, "unsupported") && error.message.includes("containerLogMaxSize"),
    );
    await logs.remove(lab.target);
    assert.equal(lab.host.tree.exists(path), false);
    assert.equal(lab.read(json), "of docker", "the link goes, not the file");
  });

  it("warns when there is no file to link to, and still starts the container", async () => {
    await using lab = new LogLab();
    const logs = lab.shim({ mode: "docker-json" });
    await logs.start(lab.target);
    await logs.started(lab.docker.id);
    assert.match(lab.warnings()[0]!.msg, /nothing to link to/);
    assert.equal(lab.host.tree.exists(path), false);
    await logs.remove(lab.target);
  });

  it("writes the log of a container that was made in the mode cri and has no JSON file", async () => {
    for (const isStarted of [true, false]) {
      await using lab = new LogLab();
      const logs = lab.shim({ mode: "docker-json" });
      const target = { ...lab.target, logDriver: "local" };
      lab.docker.say("stdout", "one\n");
      if (isStarted) await logs.resume([target]);
      else await logs.start(target);
      await logs.started(lab.docker.id);
      await until("the line", () => lab.read() === expected(lab.docker.said));
    }
  });

  it("links late when Docker hangs or the disk is full, without holding the start up", async () => {
    await using lab = new LogLab();
    lab.docker.logPath = json;
    const release = lab.host.faults.on("logFiles.makeLink", { code: "ENOSPC" });
    const logs = lab.shim({ mode: "docker-json" });
    await logs.start(lab.target);
    const beganAt = performance.now();
    await logs.started(lab.docker.id);
    assert.ok(performance.now() - beganAt < 4_000);
    assert.match(lab.warnings()[0]!.msg, /cannot link/);
    release();
    await until("the link", () => lab.host.tree.stat(path)?.kind === "link", 10_000);
  });

  it("leaves the link of an adopted container alone in either mode, and writes nothing through it", async () => {
    for (const mode of ["cri", "docker-json"] as const) {
      await using lab = new LogLab();
      lab.host.tree.makeDirectory(`${root}/app`);
      lab.host.tree.makeDirectory("/var/lib/docker/containers/c");
      lab.host.tree.replace(json, "", 0o640);
      lab.host.tree.symlink(json, path);
      lab.docker.say("stdout", "one\n");
      const logs = lab.shim({ mode });
      await logs.resume([lab.target]);
      assert.equal(await logs.finish(lab.docker.id), true);
      await assert.rejects(logs.reopen(lab.docker.id), (error) => isKind(error, "unsupported"));
      assert.equal(lab.host.tree.stat(path)?.kind, "link");
      assert.equal(lab.read(json), "");
      assert.equal(lab.docker.calls.length + lab.docker.inspects, 0);
    }
  });

  it("links containers without a log when the shim starts, and continues existing files", async () => {
    await using lab = new LogLab();
    lab.docker.logPath = json;
    const logs = lab.shim({ mode: "docker-json" });
    await logs.resume([lab.target]);
    await until("the link", () => lab.host.tree.stat(path)?.kind === "link");
    await logs.close();
    lab.host.tree.remove(path);
    lab.host.tree.append(path, "2023-11-14T22:13:20.000000000Z stdout F an older line\n");
    lab.docker.say("stdout", "one\n");
    const second = lab.shim({ mode: "docker-json" });
    await second.resume([lab.target]);
    await until("the new line", () => lab.read().includes("stdout F one\n"));
    assert.equal(lab.host.tree.stat(path)?.kind, "file");
  });
});
