import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { NodeHost } from "../../../../src/drivers/node/index.js";
import { parseStat } from "../../../../src/drivers/node/proc-stat.js";

const { processes, kernel } = new NodeHost();
const PATH = "/usr/bin:/bin";

function sh(script: string, options: Partial<Parameters<typeof processes.run>[0]> = {}) {
  return processes.run({
    file: "/bin/sh",
    args: ["-c", script],
    env: { PATH },
    deadlineMs: 10_000,
    ...options,
  });
}

describe("running a program", () => {
  let folder = "";

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "node-processes-"));
  });
  after(() => rm(folder, { recursive: true }));

  it("answers its output, its error output and its exit code", async () => {
    const result = await sh("cat; echo bad >&2; exit 7", { input: "hello" });
    assert.deepEqual(
      { ...result, stdout: result.stdout.toString(), stderr: result.stderr.toString() },
      { exitCode: 7, stdout: "hello", stderr: "bad\n" },
    );
  });

  it("passes only the given environment and a mark of the run", async () => {
    const { stdout } = await processes.run({
      file: "/usr/bin/env",
      args: [],
      env: { ONLY: "this" },
      deadlineMs: 5_000,
    });
    assert.match(stdout.toString(), /^ONLY=this\nDOCKER_CRI_RUN=[0-9a-f-]{36}\n$/);
  });

  it("takes a deadline that lies beyond every timer", async () => {
    assert.equal((await sh("exit 5", { deadlineMs: 2 ** 40 })).exitCode, 5);
    assert.equal((await sh("sleep 0.1; exit 6", { deadlineMs: Infinity })).exitCode, 6);
  });

  it("counts a signal as 128 and its number", async () => {
    assert.equal((await sh("kill -TERM $$")).exitCode, 143);
  });

  it("takes a large output whole, and input without a reader", async () => {
    const { stdout } = await sh("head -c 8000000 /dev/zero", { input: Buffer.alloc(4_000_000) });
    assert.equal(stdout.length, 8_000_000);
  });

  it("reports a missing program and one that is not executable", async () => {
    await assert.rejects(processes.run({ file: join(folder, "none"), args: [], deadlineMs: 1_000 }), {
      name: "ShimError",
      kind: "not-found",
    });
    await writeFile(join(folder, "not-executable"), "x");
    await assert.rejects(
      processes.run({ file: join(folder, "not-executable"), args: [], deadlineMs: 1_000 }),
      {
        code: "EACCES",
      },
    );
    await assert.rejects(sh("true", { args: ["\0"] }), { code: "ERR_INVALID_ARG_VALUE" });
  });

  it("kills the whole group at the deadline, and processes that left it", async () => {
    const pids = join(folder, "pids");
    const script = `sleep 60 & echo $! >>${pids}; setsid sleep 60 & echo $! >>${pids}; echo $$ >>${pids}; wait`;
    await assert.rejects(sh(script, { deadlineMs: 1_500 }), { kind: "deadline-exceeded" });
    const started = (await readFile(pids, "utf8")).trim().split("\n").map(Number);
    assert.equal(started.length, 3);
    for (const pid of started) assert.equal(await processes.isAlive(pid), false, `process ${pid} lives`);
  });

  it("kills an orphaned process with its own session at the deadline", async () => {
    const pids = join(folder, "orphans");
    const orphan = `setsid sh -c "sleep 60 & echo \\$! >>${pids}; echo \\$\\$ >>${pids}; exec sleep 60" & exit`;
    await assert.rejects(sh(`(${orphan}); sleep 60`, { deadlineMs: 1_500 }), { kind: "deadline-exceeded" });
    const started = (await readFile(pids, "utf8")).trim().split("\n").map(Number);
    assert.equal(started.length, 2);
    for (const pid of started) assert.equal(await processes.isAlive(pid), false, `process ${pid} lives`);
  });

  it("kills at the caller's abort, even a process that ignores signals", async () => {
    const controller = new AbortController();
    const file = join(folder, "stubborn");
    const running = sh(`trap "" TERM INT HUP; echo $$ >${file}; while :; do sleep 1; done`, {
      signal: controller.signal,
    });
    while (!(await readFile(file, "utf8").catch(() => "")).includes("\n")) await delay(10);
    controller.abort();
    await assert.rejects(running, { kind: "cancelled" });
    assert.equal(await processes.isAlive(Number(await readFile(file, "utf8"))), false);
  });

  it("starts nothing for a cancelled call", async () => {
    const file = join(folder, "never");
    await assert.rejects(sh(`touch ${file}`, { signal: AbortSignal.abort() }), { kind: "cancelled" });
    await assert.rejects(readFile(file), { code: "ENOENT" });
  });

  it("kills a program that prints without end", async () => {
    await assert.rejects(sh("yes", { maxOutputBytes: 100_000 }), {
      kind: "resource-exhausted",
      message: /100000 bytes on its standard output/,
    });
    await assert.rejects(sh("yes >&2", { maxOutputBytes: 100_000 }), { message: /standard error/ });
  });

  it("does not wait for a grandchild that holds the output, and takes all that the program wrote", async () => {
    const startMs = performance.now();
    const { stdout, exitCode } = await sh("sleep 30 & head -c 1000000 /dev/zero; exit 3");
    assert.ok(performance.now() - startMs < 20_000);
    assert.equal(exitCode, 3);
    assert.equal(stdout.length, 1_000_000);
  });

  it("does not wait for a grandchild that keeps writing", async () => {
    const startMs = performance.now();
    const script = "(while sleep 0.05; do echo tick || exit; done) & echo done";
    const { stdout } = await sh(script);
    assert.ok(performance.now() - startMs < 20_000);
    assert.match(stdout.toString(), /done/);
  });
});

describe("killing a tree of processes", () => {
  it("kills descendants, whatever group or session they made", async () => {
    const parent = start("setsid sleep 60 & (sleep 60 & wait) & sleep 60");
    const descendants = await pidsBelow(parent.pid, 4);
    const ended = once(parent, "exit");
    assert.equal(await processes.killTree(parent.pid), descendants.length + 1);
    await ended;
    for (const pid of descendants) assert.equal(await processes.isAlive(pid), false, `process ${pid} lives`);
  });

  it("keeps up with a tree that forks all the time", async () => {
    const parent = start("while :; do sleep 0.01 & sleep 0.01; done");
    await delay(100);
    const ended = once(parent, "exit");
    assert.ok((await processes.killTree(parent.pid)) >= 1);
    await ended;
  });

  it("kills nothing for a missing pid, and refuses numbers that mean process groups", async () => {
    const gone = start("true");
    await once(gone, "exit");
    assert.equal(await processes.killTree(gone.pid), 0);
    for (const pid of [0, -1, 1, process.pid, Number.NaN, 1.5]) {
      await assert.rejects(processes.killTree(pid), { kind: "invalid-argument" });
    }
  });
});

describe("killing processes by their environment", () => {
  it("kills the matching processes with their new children, and no others", async () => {
    const mark = `mark-${process.pid}`;
    const meant = start(`export OWN=1; while :; do setsid sleep 0.02 & sleep 0.02; done`, { MARK: mark });
    const other = start("exec sleep 60", { MARK: `not-${mark}` });
    await delay(100);
    const ended = once(meant, "exit");
    assert.ok((await processes.killWhere((environment) => environment.get("MARK") === mark)) >= 1);
    await ended;
    assert.equal(await processes.isAlive(other.pid), true);
    assert.equal(await processes.killWhere((environment) => environment.get("MARK") === mark), 0);
    assert.equal(await processes.killWhere((environment) => environment.get("MARK") === `not-${mark}`), 1);
  });

  it("takes few files and lists for hundreds of calls at once, and each kills its own", async () => {
    const marks = Array.from({ length: 200 }, (_, index) => `many-${process.pid}-${index}`);
    const meant = marks.slice(0, 3).map((mark) => start("exec sleep 60", { MARK: mark }));
    const ended = Promise.all(meant.map((child) => once(child, "exit")));
    await delay(100);
    const descriptors = () => readdirSync("/proc/self/fd").length;
    const before = descriptors();
    let [most, environments] = [before, 0];
    const looking = setInterval(() => (most = Math.max(most, descriptors())), 1);
    const killed = await Promise.all(
      marks.map((mark) =>
        processes.killWhere((environment) => {
          if (mark === marks[0]) environments++;
          return environment.get("MARK") === mark;
        }),
      ),
    );
    clearInterval(looking);
    await ended;
    assert.deepEqual(killed, [1, 1, 1, ...Array<number>(197).fill(0)]);
    assert.ok(most <= before + 3, `${before} descriptors, then ${most}`);
    const others = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).length;
    assert.ok(environments < 4 * others, `${environments} environments of ${others} processes`);
  });
});

describe("looking at processes", () => {
  it("distinguishes living processes from zombies and missing ones", async () => {
    assert.equal(await processes.isAlive(process.pid), true);
    assert.equal(await processes.isAlive(0), false);
    assert.equal(await processes.isAlive(-5), false);
    assert.equal(await processes.isAlive(2 ** 22 + 1), false);
    // Another program replaces the shell. It does not reap the child, which stays a zombie; the shell might reap it.
    const parent = start("sleep 60 & echo $!; exec sleep 60");
    assert.ok(parent.stdout);
    const [line] = (await once(parent.stdout, "data")) as [Buffer];
    const zombie = Number(line.toString());
    assert.equal(await processes.isAlive(zombie), true);
    const end = Date.now() + 20_000;
    const until = async (pattern: RegExp, file: string) => {
      while (!pattern.test(await readFile(file, "utf8"))) {
        assert.ok(Date.now() < end);
        await delay(20);
      }
    };
    await until(/^sleep$/m, `/proc/${parent.pid}/comm`);
    process.kill(zombie, "SIGKILL");
    await until(/^State:\s+Z/m, `/proc/${zombie}/status`);
    assert.equal(await processes.isAlive(zombie), false);
    parent.kill("SIGKILL");
  });

  it("reads the stat line of a process with a hostile name", () => {
    const fields = Array.from({ length: 30 }, (_, index) => String(index + 4));
    const text = `42 (a) Z (b) S 7 ${fields.slice(1).join(" ")}`;
    assert.deepEqual(parseStat(42, text), { pid: 42, state: "S", parent: 7, startTicks: "22" });
    assert.equal(parseStat(42, ""), undefined);
  });

  it("knows its own score and the kernel", async () => {
    const score = await processes.ownOomScoreAdj();
    assert.ok(Number.isInteger(score) && score >= -1000 && score <= 1000);
    assert.equal(kernel.release, (await readFile("/proc/sys/kernel/osrelease", "utf8")).trim());
    const unified = await readFile("/proc/mounts", "utf8").then((text) =>
      /^\S+ \/sys\/fs\/cgroup cgroup2 /m.test(text),
    );
    assert.equal(await kernel.cgroupVersion(), unified ? 2 : 1);
  });
});

function start(script: string, env: Record<string, string> = {}): ChildProcess & { pid: number } {
  const child = spawn("/bin/sh", ["-c", script], {
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, ...env },
  });
  assert.ok(child.pid !== undefined);
  return Object.assign(child, { pid: child.pid });
}

/** Waits until the process has `count` descendants. */
async function pidsBelow(root: number, count: number): Promise<number[]> {
  const end = Date.now() + 20_000;
  for (;;) {
    const found = await descend(root);
    if (found.length === count) return found;
    assert.ok(Date.now() < end, `${found.length} descendants, not ${count}`);
    await delay(20);
  }
}

async function descend(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const children = text.split(" ").filter(Boolean).map(Number);
  return [...children, ...(await Promise.all(children.map(descend))).flat()];
}
