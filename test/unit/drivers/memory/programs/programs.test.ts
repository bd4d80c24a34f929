import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isKind } from "../../../../../src/base/index.js";
import {
  createMemoryDocker,
  type MemoryDocker,
  type Program,
} from "../../../../../src/drivers/memory/index.js";
import { collect, create, run, turns } from "../rig.js";

const image = "app:1";

/** Answers each line of its input, and reports what its terminal and its signals do. */
const server: Program = async (process) => {
  const { stdin, stdout, stderr } = process;
  process.onSignal("SIGTERM", () => {
    process.exit(3);
  });
  process.onSignal("SIGWINCH", () => {
    const { width, height } = process.terminalSize() ?? {};
    void stdout.write(`${width}x${height}\n`);
  });
  await stdout.write("ready\n");
  for (let line = await stdin.readLine(); line !== undefined; line = await stdin.readLine()) {
    await (line.startsWith("!") ? stderr : stdout).write(`got ${line}\n`);
  }
  await stdout.write("end of input\n");
  return 7;
};

describe("the programs of the memory engine", () => {
  let engine: MemoryDocker;
  beforeEach(() => {
    engine = createMemoryDocker();
  });
  afterEach(() => engine.close());

  const load = (programs: Readonly<Record<string, Program>>) => engine.load({ name: image, programs });
  const config = { image };
  const all = { stdin: true, stdout: true, stderr: true, tty: false };
  const ended = async (id: string) => {
    let output = "";
    for await (const batch of engine.containers.logs(id, { follow: true }))
      for (const { data } of batch) output += Buffer.from(data).toString();
    return { output, code: (await engine.containers.inspect(id)).state.exitCode };
  };

  it("may handle signals asynchronously, also when SIGKILL arrives meanwhile", async () => {
    let handling = 0;
    let rejected = 0;
    load({
      "/bin/slow": async (process) => {
        process.onSignal("SIGTERM", async () => {
          await process.stdout.write("closing\n");
          handling++;
          await process.sleep(Infinity).finally(() => rejected++);
        });
        await process.sleep(Infinity);
      },
    });
    const id = await run(engine, ["slow"], { config });
    await engine.containers.kill(id, { killSignal: "SIGTERM" });
    while (handling === 0) await turns();
    await engine.containers.kill(id);
    assert.equal((await ended(id)).code, 137);
    assert.equal(rejected, 1);
  });

  it("fail by an error in a callback as by one in the program", async () => {
    load({
      "/bin/early": async (process) => {
        process.onSignal("SIGTERM", () => {
          throw new Error("no signals today");
        });
        await process.sleep(Infinity);
      },
      "/bin/late": async (process) => {
        process.onSignal("SIGTERM", () => Promise.reject(new Error("no signals tomorrow")));
        await process.sleep(Infinity);
      },
    });
    for (const [name, words] of [
      ["early", "no signals today"],
      ["late", "no signals tomorrow"],
    ] as const) {
      const id = await run(engine, [name], { config });
      await engine.containers.kill(id, { killSignal: "SIGTERM" });
      assert.deepEqual(await ended(id), { output: `${name}: ${words}\n`, code: 1 });
    }
  });

  it("are found by their path and by their name, in a command line too, and the first one is the image's own", async () => {
    load({
      "/usr/bin/worker": async ({ args, pid, stdout }) => {
        await stdout.write(`${args.slice(1).join("+")} ${pid}\n`);
        return 256 + 9;
      },
      "/app/other": () => 4,
    });
    assert.deepEqual(await ended(await run(engine, ["worker", "a", "b"], { config })), {
      output: "a+b 1\n",
      code: 9,
    });
    assert.equal((await ended(await run(engine, ["/app/other"], { config }))).code, 4);
    const line = ["/bin/sh", "-c", "worker x; echo $?; /app/other"];
    assert.deepEqual(await ended(await run(engine, line, { config })), { output: "x 1\n9\n", code: 4 });
    const { id } = await engine.containers.create({ name: "default", config, host: {} });
    await engine.containers.start(id);
    assert.deepEqual(await ended(id), { output: " 1\n", code: 9 });
    for (const command of ["other", "/bin/worker", "toString", "/app/constructor"]) {
      const missing = await create(engine, [command], { config });
      await assert.rejects(
        engine.containers.start(missing),
        (error) => isKind(error, "invalid-argument"),
        command,
      );
    }
  });

  it("belong to their image: the pause image has no shell", async () => {
    const pod = await create(engine, ["sh"], {
      config: { image: engine.load("registry.k8s.io/pause:3.10").id, entrypoint: ["sh"] },
    });
    await assert.rejects(engine.containers.start(pod), /executable file not found/);
  });

  it("exit with 0 without a return, and with 1 and a line on stderr when they throw", async () => {
    load({
      "/bin/quiet": async ({ env, stdout }) => {
        await stdout.write(String(env["GREETING"]));
      },
      "/bin/fails": () => {
        throw new Error("no luck");
      },
    });
    const quiet = await run(engine, ["quiet"], { config: { image, env: ["GREETING=hi"] } });
    assert.deepEqual(await ended(quiet), { output: "hi", code: 0 });
    assert.deepEqual(await ended(await run(engine, ["fails"], { config })), {
      output: "fails: no luck\n",
      code: 1,
    });
  });

  it("see input, its end and signals through attach", async () => {
    load({ "/bin/server": server });
    const id = await run(engine, ["server"], { config: { image, openStdin: true, stdinOnce: true } });
    const stream = await engine.containers.attach(id, all);
    const frames = collect(stream.output);
    await stream.write(Buffer.from("one\n!tw"));
    await stream.write(Buffer.from("o\nthree"));
    stream.endInput();
    const outputs = (await frames).map(
      ({ stream: name, data }) => `${name}: ${Buffer.from(data).toString()}`,
    );
    assert.deepEqual(
      outputs.filter((text) => !text.includes("ready")),
      ["stdout: got one\n", "stderr: got !two\n", "stdout: got three\n", "stdout: end of input\n"],
    );
    assert.equal((await ended(id)).code, 7);
    const signalled = await run(engine, ["server"], { config: { image, openStdin: true } });
    await engine.containers.stop(signalled, { graceSeconds: 10 });
    assert.equal((await ended(signalled)).code, 3);
  });

  it("see input, its end and a terminal through exec", async () => {
    load({ "/bin/server": server });
    const id = await run(engine, ["sleep", "60"], { config });
    const start = async (tty: boolean) => {
      const execId = await engine.execs.create(id, { ...all, command: ["server"], tty });
      return { execId, stream: await engine.execs.start(execId, { tty }) };
    };
    const piped = await start(false);
    await piped.stream.write(Buffer.from("one\n"));
    piped.stream.endInput();
    const output = (await collect(piped.stream.output))
      .map(({ data }) => Buffer.from(data).toString())
      .join("");
    assert.equal(output, "ready\ngot one\nend of input\n");
    assert.equal((await engine.execs.inspect(piped.execId)).exitCode, 7);

    const { execId, stream } = await start(true);
    await engine.execs.resize(execId, { width: 120, height: 50 });
    await stream.write(Buffer.from("!one\r\x04"));
    const shown = (await collect(stream.output)).map(({ data }) => Buffer.from(data).toString()).join("");
    assert.equal(shown, "ready\r\n120x50\r\n!one\r\ngot !one\r\nend of input\r\n");
    assert.equal((await engine.execs.inspect(execId)).exitCode, 7);
  });

  it("end with their process: pending waits reject, and the writer of a closed pipe ends", async () => {
    let why: unknown;
    const ends: Program = async ({ sleep, signal }) => {
      await sleep(Infinity).catch((error: unknown) => (why = error));
      assert.equal(signal.aborted, true);
    };
    const yes: Program = async ({ stdout }) => {
      for (;;) await stdout.write("y\n");
    };
    load({ "/bin/ends": ends, "/bin/yes": yes });
    const id = await run(engine, ["ends"], { config });
    await engine.containers.kill(id);
    assert.equal((await ended(id)).code, 137);
    assert.ok(why instanceof Error, String(why));
    assert.deepEqual(await ended(await run(engine, ["sh", "-c", "yes | read x; echo $?"], { config })), {
      output: "0\n",
      code: 0,
    });
  });

  it("can be killed while they write in a loop, whether somebody reads or not", async () => {
    const yes: Program = async ({ stdout }) => {
      for (;;) await stdout.write("y\n");
    };
    load({ "/bin/yes": yes });
    const main = await run(engine, ["yes"], { config });
    const left = await engine.execs.create(main, { ...all, command: ["yes"], stdin: false });
    (await engine.execs.start(left, { tty: false })).destroy();
    for (const line of ["yes > /dev/null", "yes > /tmp/much", "yes | cat > /dev/null"]) {
      const exec = await engine.execs.create(main, { ...all, command: ["sh", "-c", line] });
      await engine.execs.start(exec, { tty: false });
    }
    await engine.containers.kill(main);
    assert.equal((await engine.containers.inspect(main)).state.exitCode, 137);
    await engine.containers.remove(main);
  });

  it("need not wait for what they write, also when they are killed", async () => {
    load({
      "/bin/hasty": async ({ stdout, signal, sleep }) => {
        signal.addEventListener("abort", () => void stdout.write("too late"));
        void stdout.write("ready");
        await sleep(Infinity);
      },
    });
    const id = await run(engine, ["hasty"], { config });
    await engine.containers.kill(id);
    assert.deepEqual(await ended(id), { output: "ready", code: 137 });
  });
});
