import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { createMemoryDocker } from "../../../../../src/drivers/memory/index.js";

const image = "busybox:1.36";
const engine = createMemoryDocker({ images: [image] });
let count = 0;

interface Ran {
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
}

/** Runs a command as a container's first process. */
async function run(command: readonly string[], env: readonly string[] = []): Promise<Ran> {
  const { id } = await engine.containers.create({
    name: `run-${++count}`,
    config: { image, command, env, hostname: "box", workingDir: "/work" },
    host: {},
  });
  await engine.containers.start(id);
  const text = { stdout: "", stderr: "" };
  for await (const batch of engine.containers.logs(id, { follow: true })) {
    for (const { stream, data } of batch) text[stream] += Buffer.from(data).toString();
  }
  const { state } = await engine.containers.inspect(id);
  await engine.containers.remove(id);
  return { code: state.exitCode, out: text.stdout, err: text.stderr };
}

describe("the command lines of the memory engine", () => {
  after(() => engine.close());

  const scripts: readonly [script: string, out: string, code?: number, err?: string][] = [
    ["echo a b  c", "a b c\n"],
    ["echo 'a  b' \"c  d\" e\\ f ''", "a  b c  d e f \n"],
    ["echo -n x; echo y", "xy\n"],
    ["echo out; echo err >&2", "out\n", 0, "err\n"],
    ["echo err >&2 2>/dev/null; nope 2>&1 | cat", "sh: nope: not found\n", 0, "err\n"],
    ["nope 2>&1", "sh: nope: not found\n", 127],
    ["echo lost > /dev/null; echo lost >&2 2>/dev/null", "", 0, "lost\n"],
    ["echo out > /dev/stdout; echo err > /proc/1/fd/2", "out\n", 0, "err\n"],
    ["true && echo yes || echo no", "yes\n"],
    ["false && echo yes || echo no", "no\n"],
    ["false || false; echo $?", "1\n"],
    ["exit 7; echo never", "", 7],
    ["exit 300", "", 44],
    ["false", "", 1],
    ["false; exit", "", 1],
    ["nope; echo $?", "127\n", 0, "sh: nope: not found\n"],
    ["constructor; toString", "", 127, "sh: constructor: not found\nsh: toString: not found\n"],
    ['X=one; echo $X ${X} ${Y:-two} ${Y-two} "$X\'s" $', "one one two two one's $\n"],
    ["X='a  b'; echo $X \"$X\"", "a b a  b\n"],
    ["export A=1 B; echo $A$B$C", "1\n"],
    ["echo a | cat | cat", "a\n"],
    ["echo lost | false; echo $?", "1\n"],
    ["read line < /etc/hostname; echo $line", "box\n"],
    ["exit 3 | cat; echo $?", "0\n"],
    ["X=1 | cat; echo a$X", "a\n"],
    ["echo text > /tmp/f; cat /tmp/f; echo more >> /tmp/f; cat < /tmp/f", "text\ntext\nmore\n"],
    ["cd /data; echo x > y; cat /data/y; cd ..; cat data/y", "x\nx\n"],
    [
      "cat /no/such",
      "",
      1,
      "cat: can't open '/no/such': ENOENT: no such file or directory, open '/no/such'\n",
    ],
    ["cat < /no/such", "", 1, "sh: ENOENT: no such file or directory, open '/no/such'\n"],
    ["trap 'echo bye' EXIT; exit 4", "bye\n", 4],
    ["sleep 0.05 & wait; echo done", "done\n"],
    ["exit 5 & wait $!; echo $? $!", "5 1\n"],
    ["echo a;# a comment\necho b \\\n c", "a\nb c\n"],
    ["echo a &&\n\n echo b", "a\nb\n"],
    ["exec echo last; echo never", "last\n"],
    ["echo 'open", "", 2, "sh: syntax error: missing '\n"],
    ['echo "open', "", 2, 'sh: syntax error: missing "\n'],
    ["echo a ||", "", 2, "sh: syntax error: unexpected end\n"],
    ["&& echo a", "", 2, 'sh: syntax error: unexpected "&&"\n'],
    ["echo >", "", 2, "sh: syntax error: unexpected end\n"],
    ["echo >&3", "", 2, "sh: syntax error: unexpected word\n"],
    ["sleep", "", 1, "sleep: invalid number ''\n"],
    ["sleep abc", "", 1, "sleep: invalid number 'abc'\n"],
    ["trap 'x' NOSUCH", "", 1, "sh: trap: NOSUCH: invalid signal specification\n"],
    ["stty size", "", 1, "stty: usage: stty size, in a terminal\n"],
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

  it("ends with -e at the first command that fails, but not at one that || follows", async () => {
    const ran = await run(["sh", "-ec", "false || true; echo on; false; echo never"]);
    assert.deepEqual([ran.out, ran.code], ["on\n", 1]);
  });

  it("gives programs their environment, the later of two values", async () => {
    const ran = await run(["env"], ["A=1", "B=", "A=2", "__proto__=x"]);
    const lines = ran.out.split("\n");
    for (const line of ["A=2", "B=", "HOSTNAME=box", "__proto__=x"]) assert.ok(lines.includes(line), ran.out);
    assert.ok(lines.some((line) => line.startsWith("PATH=/")));
    const passed = await run(["sh", "-c", "X=1; Y=1; X=2 env"]);
    assert.ok(passed.out.includes("X=2\nY=1\n") || passed.out.includes("Y=1\nX=2\n"), passed.out);
  });

  for (const script of [
    "while true; do echo y; done",
    "for i in 1 2; do echo $i; done",
    "if true; then echo a; fi",
    "! true",
    "{ echo a; }",
    "(echo a)",
    "echo $(hostname)",
    'echo "`hostname`"',
    "echo $((1+1))",
    'exec "$@"',
    "${X:?}",
  ]) {
    it(`refuses more than a plain command line, with advice: ${script}`, async () => {
      const { out, code, err } = await run(["sh", "-c", script]);
      assert.deepEqual([out, code], ["", 2]);
      assert.match(err, /^sh: ".*" is not supported: .* give the image a program of its own/);
    });
  }

  it("takes any text without failing itself", async () => {
    const text = fc.string({
      unit: fc.constantFrom(
        " ",
        "a",
        "1",
        "'",
        '"',
        "\\",
        "$",
        ";",
        "&",
        "|",
        "<",
        ">",
        "{",
        "(",
        "=",
        "\n",
        "#",
        "`",
        "-",
      ),
      maxLength: 24,
    });
    await fc.assert(
      fc.asyncProperty(text, async (line) => {
        const { code } = await run(["sh", "-c", line]);
        assert.ok(code !== undefined && code <= 255, String(code));
      }),
      { numRuns: 300 },
    );
  });

  it("waits for its traps: signals run them, ignore, or end the process again", async () => {
    const signalled = async (script: string, ...signals: readonly string[]) => {
      const command = ["sh", "-c", `${script}; echo ready; sleep 60 & wait; echo $?; wait`];
      const { id } = await engine.containers.create({
        name: `trap-${++count}`,
        config: { image, command },
        host: {},
      });
      await engine.containers.start(id);
      let output = "";
      for await (const batch of engine.containers.logs(id, { follow: true })) {
        for (const { data } of batch) output += Buffer.from(data).toString();
        const killSignal = signals[output.split("\n").length - 2];
        if (killSignal !== undefined) await engine.containers.kill(id, { killSignal });
      }
      return [output, (await engine.containers.inspect(id)).state.exitCode];
    };
    assert.deepEqual(await signalled("trap 'exit 6' USR1", "SIGUSR1"), ["ready\n", 6]);
    assert.deepEqual(await signalled("trap 'echo got' TERM", "SIGTERM", "9"), ["ready\ngot\n128\n", 137]);
    assert.deepEqual(await signalled("trap '' TERM INT; trap - TERM", "TERM"), ["ready\n", 143]);
  });

  it("reads command lines from stdin when it is given none", async () => {
    const { id } = await engine.containers.create({
      name: "interactive",
      config: { image, command: ["sh"], openStdin: true, stdinOnce: true },
      host: {},
    });
    await engine.containers.start(id);
    const all = { stdin: true, stdout: true, stderr: true, tty: false };
    const stream = await engine.containers.attach(id, all);
    await stream.write(Buffer.from("echo one\nX=two; ||\nX=2; read y\ninput\necho $X$y\nexit 3\nnever"));
    let output = "";
    for await (const { data } of stream.output) output += Buffer.from(data).toString();
    assert.match(output, /^one\nsh: syntax error.*\n2input\n$/);
    assert.equal((await engine.containers.inspect(id)).state.exitCode, 3);
    const ran = await run(["sh", "script.sh"]);
    assert.deepEqual([ran.code, ran.err.startsWith("sh: usage:")], [2, true]);
  });
});
