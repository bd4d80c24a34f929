import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { createMemoryDocker } from "../../../../../src/drivers/memory/index.js";

const engine = createMemoryDocker({ images: ["busybox:1.36"] });
let count = 0;

interface Ran {
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
}

/** Runs a command as a container's first process. */
async function run(command: readonly string[], env: readonly string[] = []): Promise<Ran> {
  const { id } = await engine.containers.create({
    name: `shell-${++count}`,
    config: { image: "busybox:1.36", command, env, hostname: "box", workingDir: "/work" },
    host: {},
  });
  await engine.containers.start(id);
  const text = { stdout: "", stderr: "" };
  for await (const frame of engine.containers.logs(id, { follow: true })) {
    text[frame.stream] += Buffer.from(frame.data).toString();
  }
  const { state } = await engine.containers.inspect(id);
  await engine.containers.remove(id);
  return { code: state.exitCode, out: text.stdout, err: text.stderr };
}

describe("the programs of the memory engine", () => {
  after(() => engine.close());

  const scripts: readonly [script: string, out: string, code?: number, err?: string][] = [
    ["echo a b  c", "a b c\n"],
    ["echo 'a  b' \"c  d\" e\\ f", "a  b c  d e f\n"],
    ["echo -n x; echo y", "xy\n"],
    ["echo -e 'a\\tb\\n'", "a\tb\n\n"],
    ["printf '%s-%d %5s|%-3s|%03d\\n' a 7 x y 9", "a-7     x|y  |009\n"],
    ["printf '%s\\n' a b c", "a\nb\nc\n"],
    ["printf 100%%", "100%"],
    ["echo out; echo err >&2", "out\n", 0, "err\n"],
    ["{ echo out; echo err >&2; } 2>&1", "out\nerr\n"],
    ["echo lost > /dev/null; echo lost >&2 2>/dev/null", "", 0, "lost\n"],
    ["true && echo yes || echo no", "yes\n"],
    ["false && echo yes || echo no", "no\n"],
    ["! false; echo $?", "0\n"],
    ["(exit 3); echo $?", "3\n"],
    ["exit 7; echo never", "", 7],
    ["exit 300", "", 44],
    ["false", "", 1],
    ["X=1; X=2 env | grep X", "", 127, "sh: grep: not found\n"],
    ["nope; echo $?", "127\n", 0, "sh: nope: not found\n"],
    ["constructor; toString", "", 127, "sh: constructor: not found\nsh: toString: not found\n"],
    ['X=one; echo $X ${X} ${Y:-two} "$X\'s"', "one one two one's\n"],
    ["X='a b'; for i in $X \"$X\"; do echo [$i]; done", "[a]\n[b]\n[a b]\n"],
    ["for i in 1 2 3 4; do if [ $i = 2 ]; then continue; fi; [ $i = 4 ] && break; echo $i; done", "1\n3\n"],
    ["i=0; while [ $i -lt 3 ]; do i=$((i + 1)); done; echo $i", "3\n"],
    ["i=5; until [ $i -le 3 ]; do i=$((i-1)); done; echo $i", "3\n"],
    ["if false; then echo a; elif true; then echo b; else echo c; fi", "b\n"],
    ["echo $((2 + 3 * 4)) $(((2+3)*4)) $((7/2)) $((7%4)) $((1<2)) $((!0)) $((-3))", "14 20 3 3 1 1 -3\n"],
    ["echo $((1/0))", "", 2, "sh: divide by zero\n"],
    ['echo "$(echo inner; echo two)" $(echo)x', "inner\ntwo x\n"],
    ["echo a | cat | wc -c", "2\n"],
    ["seq 3 | head -n 2", "1\n2\n"],
    ["printf 'abcdef' | head -c 3", "abc"],
    ["printf 'a b\\nc\\n' | { read x y; read z; echo $y$x$z; }", "bac\n"],
    ["while true; do echo y; done | head -n 2", "y\ny\n"],
    ["echo text > /tmp/f; cat /tmp/f; echo more >> /tmp/f; cat < /tmp/f", "text\ntext\nmore\n"],
    ["cd /data; echo x > y; cat /data/y; pwd; cd ..; pwd", "x\n/data\n/\n"],
    ["cat /no/such", "", 1],
    ["hostname; pwd; whoami", "box\n/work\nroot\n"],
    ["trap 'echo bye' EXIT; exit 4", "bye\n", 4],
    ["trap 'echo got' TERM; kill -TERM $$; echo after", "got\nafter\n"],
    ["trap '' TERM; kill -TERM $$; echo alive", "alive\n"],
    ["kill -TERM 1; echo never", "", 143],
    ["kill -9 1; echo never", "", 137],
    ["kill 999", "", 1, "kill: can't kill pid 999: No such process\n"],
    ["sleep 0.05 & wait; echo done", "done\n"],
    ["trap 'exit 6' USR1; sleep 60 & kill -USR1 $$; wait", "", 6],
    ["echo a;# a comment\necho b", "a\nb\n"],
    ["exec echo last; echo never", "last\n"],
    ["test -n x && [ -z '' ] && [ a != b ] && [ 3 -ge 3 ] && echo ok", "ok\n"],
    ["[ -e /etc/hostname ] && cat /etc/hostname", "box\n"],
    ["if", "", 2, 'sh: syntax error: unexpected "end"\n'],
    ["echo 'open", "", 2, "sh: missing '\n"],
    ["echo ${X", "", 2, "sh: missing }\n"],
    ["sleep", "", 1, "sleep: how long?\n"],
    ["sleep abc", "", 1, "sleep: invalid number 'abc'\n"],
    ["trap 'x' NOSUCH", "", 1, "sh: trap: NOSUCH: invalid signal specification\n"],
  ];
  for (const [script, out, code = 0, err] of scripts) {
    it(`runs: ${script}`, async () => {
      const ran = await run(["sh", "-c", script]);
      assert.deepEqual({ out: ran.out, code: ran.code }, { out, code }, ran.err);
      if (err !== undefined) assert.equal(ran.err, err);
    });
  }

  it("gives a script its parameters", async () => {
    assert.equal((await run(["sh", "-c", 'echo $0 $1 "$2" $#', "name", "a", "b c"])).out, "name a b c 2\n");
  });

  it("ends with -e at the first command that fails, but not in a condition", async () => {
    const script = "false || true; if false; then :; fi; ! true; echo on; false; echo never";
    const ran = await run(["sh", "-ec", script]);
    assert.deepEqual([ran.out, ran.code], ["on\n", 1]);
  });

  it("gives programs their environment, the later of two values", async () => {
    const ran = await run(["env"], ["A=1", "B=", "A=2", "__proto__=x"]);
    const lines = ran.out.split("\n");
    for (const line of ["A=2", "B=", "HOSTNAME=box", "__proto__=x"]) assert.ok(lines.includes(line), ran.out);
    assert.ok(lines.some((line) => line.startsWith("PATH=/")));
    const passed = await run([
      "sh",
      "-c",
      "X=1 printenv X; export Y=2; Z=3; printenv Y; printenv Z; echo $?",
    ]);
    assert.equal(passed.out, "1\n2\n1\n");
  });

  it("refuses what is nested too deeply instead of failing itself", async () => {
    const ran = await run(["sh", "-c", `${"$(echo ".repeat(200)}${")".repeat(200)}`]);
    assert.equal(ran.code, 2);
    assert.equal((await run(["sh", "-c", `${"(".repeat(500)}true${")".repeat(500)}`])).code, 2);
  });

  it("does not keep others waiting while it loops for ever", async () => {
    const { id } = await engine.containers.create({
      name: "busy",
      config: { image: "busybox:1.36", command: ["sh", "-c", "while true; do :; done"] },
      host: {},
    });
    await engine.containers.start(id);
    assert.equal((await run(["sh", "-c", "sleep 0.02; echo done"])).out, "done\n");
    await engine.containers.remove(id, { force: true });
  });

  it("runs programs that are registered, by name and by path, and reports what they throw", async () => {
    engine.programs.set("worker", async (io) => {
      await io.stdout.write(`${io.args.slice(1).join("+")} ${io.pid}\n`);
      return 9;
    });
    engine.programs.set("/app/fails", () => {
      throw new Error("no luck");
    });
    const worker = await run(["worker", "a", "b"]);
    assert.deepEqual([worker.out, worker.code], ["a+b 1\n", 9]);
    assert.equal((await run(["sh", "-c", "worker x; echo $?"])).out, "x 1\n9\n");
    const fails = await run(["/app/fails"]);
    assert.deepEqual([fails.err, fails.code], ["/app/fails: no luck\n", 1]);
  });

  it("reads commands from stdin when it is given none", async () => {
    const { id } = await engine.containers.create({
      name: "interactive",
      config: { image: "busybox:1.36", command: ["sh"], openStdin: true, stdinOnce: true },
      host: {},
    });
    await engine.containers.start(id);
    const all = { stdin: true, stdout: true, stderr: true, tty: false };
    const stream = await engine.containers.attach(id, all);
    await stream.write(Buffer.from("echo one\necho two; if\nexit 3\n"));
    let output = "";
    for await (const { data } of stream.output) output += Buffer.from(data).toString();
    assert.match(output, /^one\nsh: syntax error.*\n$/);
    assert.equal((await engine.containers.inspect(id)).state.exitCode, 3);
  });
});
