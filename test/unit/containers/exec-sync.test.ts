import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { killExec, newExecMark } from "../../../src/containers/exec-termination.js";
import { ExecEnds } from "../../../src/inventory/exec-ends.js";
import type { Program } from "../../../src/testing/index.js";
import { fails, forever, image, openLab, until, type Lab } from "./lab.js";

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const exec = (lab: Lab, containerId: string, cmd: string[], timeout = 0n) =>
  lab.runtime.execSync({ containerId, cmd, timeout });

/** Nothing of any exec is left: no stream, no call, no process. */
async function nothingLeft({ engine }: Lab, processes: number): Promise<void> {
  await until(() => engine.calls.openStreams("execs.start") === 0);
  await until(() => engine.host.processTable.size === processes);
}

describe("ExecSync", () => {
  it("reports stdout, stderr and the exit code separately", async () => {
    await using lab = await openLab();
    const id = await lab.run(forever);
    const answer = await exec(lab, id, ["sh", "-c", "echo out; echo err >&2; exit 42"]);
    assert.deepEqual([text(answer.stdout), text(answer.stderr), answer.exitCode], ["out\n", "err\n", 42]);
    assert.equal((await exec(lab, id, ["no-such-program"])).exitCode, 127);
    for (const code of [126, 127]) {
      assert.equal((await exec(lab, id, ["sh", "-c", `exit ${code}`])).exitCode, code);
    }
  });

  it("takes the exit code from Docker's event, or inspects the exec when no event comes", async () => {
    await using lab = await openLab();
    const { engine } = lab;
    const id = await lab.run(forever);
    const codes = async () => (await exec(lab, id, ["sh", "-c", "exit 42"])).exitCode;
    assert.equal(await codes(), 42);
    assert.equal(engine.calls.count("execs.inspect"), 0);
    // Of the exec's making, its start and its end.
    engine.faults.events.drop(3);
    assert.equal(await codes(), 42);
    assert.equal(engine.calls.count("execs.inspect"), 1);
    engine.faults.events.delay(200);
    assert.equal(await codes(), 42);
    assert.equal(engine.calls.count("execs.inspect"), 2);
  });

  it("ignores events of other execs and invalid exit codes", async () => {
    const ends = new ExecEnds();
    const { exitCode, forget } = ends.expect("mine");
    const attributes = [
      { execID: "other", exitCode: "1" },
      { execID: "mine", exitCode: "" },
      { execID: "mine" },
      { execID: "mine", exitCode: "3" },
      { execID: "mine", exitCode: "4" },
    ];
    for (const each of attributes) {
      ends.onEvent({ type: "container", action: "exec_die", subject: "c", timeNanos: 1n, attributes: each });
    }
    assert.equal(await exitCode, 3);
    forget();
  });

  it("takes a start that Docker refuses for a command that cannot be run", async () => {
    await using lab = await openLab();
    const id = await lab.run(forever);
    lab.engine.faults.on("execs.start", { error: "invalid-argument", message: "not executable", times: 1 });
    const answer = await exec(lab, id, ["/etc/passwd"]);
    assert.deepEqual([answer.exitCode, text(answer.stderr)], [127, "not executable\n"]);
  });

  it("kills the command and its children when the time is up", async () => {
    await using lab = await openLab();
    const id = await lab.run(forever);
    const before = lab.engine.host.processTable.size;
    await fails(
      exec(lab, id, ["sh", "-c", "sleep 100 & sleep 100"], 1n),
      Code.DeadlineExceeded,
      /"sh" in container .* timed out after 1 s and was killed/,
    );
    await nothingLeft(lab, before);
  });

  it("reports that the command could not be killed, and retries until it has ended", async () => {
    await using lab = await openLab();
    const { engine } = lab;
    const id = await lab.run(forever);
    const before = engine.host.processTable.size;
    const call = exec(lab, id, ["sleep", "100"], 1n);
    await until(() => engine.host.processTable.size > before);
    const [child] = engine.host.processTable.all().slice(-1);
    assert.ok(child);
    child.stuck = true;
    await fails(
      call,
      Code.DeadlineExceeded,
      /timed out after 1 s and could not be killed: .*SIGKILL.*keeps trying/,
    );
    assert.ok(child.alive);
    child.stuck = false;
    await nothingLeft(lab, before);
  });

  it("reports it also when Docker does not show the process", async () => {
    await using lab = await openLab();
    const { engine } = lab;
    const id = await lab.run(forever);
    const before = engine.host.processTable.size;
    engine.faults.on("execs.inspect", { error: "unavailable", message: "no answer", times: 2 });
    await fails(
      exec(lab, id, ["sleep", "100"], 1n),
      Code.DeadlineExceeded,
      /could not be killed: .*no answer/,
    );
    // The first attempt has found its processes without Docker.
    assert.equal(engine.host.processTable.size, before);
    await nothingLeft(lab, before);
  });

  it("kills no process of this node that only has the number of one on Docker's", async () => {
    await using lab = await openLab();
    const { engine } = lab;
    const id = await lab.run(forever);
    const bystander = engine.host.processTable.spawn({ name: "bystander" }, () => undefined);
    const inspect = engine.execs.inspect.bind(engine.execs);
    engine.execs.inspect = async (...args) => ({ ...(await inspect(...args)), pid: bystander.pid });
    await fails(exec(lab, id, ["sleep", "100"], 1n), Code.DeadlineExceeded, /was killed/);
    assert.ok(bystander.alive);
    bystander.finish(0);
  });

  it("kills the command when the caller cancels", async () => {
    await using lab = await openLab();
    const id = await lab.run(forever);
    const before = lab.engine.host.processTable.size;
    const caller = new AbortController();
    const call = lab.runtime.execSync(
      { containerId: id, cmd: ["sleep", "100"], timeout: 0n },
      { signal: caller.signal },
    );
    await until(() => lab.engine.host.processTable.size > before);
    caller.abort();
    await fails(call, Code.Canceled, /./);
    await nothingLeft(lab, before);
  });

  it("kills a command whose start was still in flight at the timeout", async () => {
    await using lab = await openLab();
    const { engine } = lab;
    const id = await lab.run(forever);
    const before = engine.host.processTable.size;
    engine.faults.on("execs.start", { hang: true, after: true, times: 1 });
    await fails(exec(lab, id, ["sleep", "100"], 1n), Code.DeadlineExceeded, /timed out/);
    await until(() => engine.host.processTable.size === before);
  });

  it("retries for the process of an exec that is starting", async () => {
    await using lab = await openLab();
    const { engine } = lab;
    const id = await lab.run(forever);
    const before = engine.host.processTable.size;
    const mark = newExecMark();
    const spec = {
      command: ["sleep", "100"],
      env: [mark],
      tty: false,
      stdin: false,
      stdout: true,
      stderr: true,
    };
    const execId = await engine.execs.create(id, spec);
    const { signal: closed } = new AbortController();
    const exec = { id: execId, containerId: id, mark };
    const killing = killExec(exec, { docker: engine, host: engine.host, log: lab.shim.log, closed });
    await until(() => engine.calls.count("execs.inspect") >= 2);
    const stream = await engine.execs.start(execId, { tty: false });
    await killing;
    stream.destroy();
    assert.equal(engine.host.processTable.size, before);
    assert.equal((await engine.execs.inspect(execId)).exitCode, 137);
  });

  it("truncates output at 16 MiB, and logs it", async () => {
    const chunk = Buffer.alloc(1024 * 1024, "x");
    const flood: Program = async ({ stdout, stderr }) => {
      for (let count = 0; count < 20; count++) await (count % 2 === 0 ? stdout : stderr).write(chunk);
      return 7;
    };
    await using lab = await openLab({ images: [{ name: image, programs: { "/bin/flood": flood } }] });
    const id = await lab.run(forever);
    const answer = await exec(lab, id, ["flood"]);
    const total = answer.stdout.length + answer.stderr.length;
    assert.ok(total <= 16 * 1024 * 1024 && total > 16 * 1024 * 1024 - 4096, String(total));
    assert.equal(answer.exitCode, 7);
    assert.equal(lab.lines.filter(({ msg }) => msg.includes("at 16 MiB")).length, 1);
  });

  it("leaves nothing after 200 at once", async () => {
    await using lab = await openLab();
    const id = await lab.run(forever);
    const before = lab.engine.host.processTable.size;
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => exec(lab, id, ["echo", String(index)])),
    );
    assert.deepEqual(
      answers.map(({ stdout }) => text(stdout)),
      answers.map((_, index) => `${index}\n`),
    );
    await nothingLeft(lab, before);
    assert.equal((await lab.engine.containers.inspect(id)).execIds.length, 0);
  });

  it("kills the process when Docker's stream breaks", async () => {
    await using lab = await openLab();
    const id = await lab.run(forever);
    const before = lab.engine.host.processTable.size;
    const call = exec(lab, id, ["sleep", "100"]);
    await until(() => lab.engine.calls.openStreams("execs.start") === 1);
    lab.engine.faults.breakStreams("execs.start");
    await fails(call, Code.Unavailable, /./);
    await nothingLeft(lab, before);
  });

  it("is refused without a command, and in a container that does not run", async () => {
    await using lab = await openLab();
    const id = await lab.run(forever);
    await fails(exec(lab, id, []), Code.InvalidArgument, /cmd is empty/);
    lab.engine.pause(id);
    await fails(exec(lab, id, ["true"]), Code.FailedPrecondition, /./);
    lab.engine.unpause(id);
    await lab.runtime.stopContainer({ containerId: id, timeout: 1n });
    await fails(exec(lab, id, ["true"]), Code.FailedPrecondition, /is not running/);
    await fails(exec(lab, "f00", ["true"]), Code.NotFound, /./);
  });
});
