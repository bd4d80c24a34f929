import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import fc from "fast-check";
import type { ContainerLogs } from "../../../src/logs/index.js";
import { expected, LogLab, path, until } from "./lab.js";
import type { StreamName } from "./scripted-log.js";

/** Entries of every kind: both streams, empty, binary, in parts that look alike, of one time, out of order. */
function saySomeOfEach(lab: LogLab): void {
  const { docker } = lab;
  docker.say("stdout", "one\n");
  docker.say("stderr", "two\n", docker.tick(5_000n));
  docker.say("stdout", "out of order\n", docker.said.at(-1)!.timestampNanos - 3_000n);
  docker.say("stdout", "\n");
  docker.say("stdout", Buffer.from([0x80, 0x00, 0x20, 0x0a]));
  const nanos = docker.tick();
  docker.say("stdout", "part", nanos);
  docker.say("stdout", "part", nanos);
  docker.say("stderr", "between the parts\n");
  docker.say("stdout", "part", nanos);
  docker.say("stdout", "part\n", nanos);
  docker.say("stderr", "same\n", nanos);
  docker.say("stderr", "same\n", nanos);
  docker.say("stdout", "the end");
}

async function completed(lab: LogLab): Promise<ContainerLogs> {
  const logs = await lab.resumed();
  assert.equal(await logs.finish(lab.docker.id), true);
  return logs;
}

describe("a log after a crash", () => {
  it("is the same wherever the file was cut off", async () => {
    await using lab = new LogLab();
    saySomeOfEach(lab);
    lab.docker.exit();
    const whole = Buffer.from(expected(lab.docker.said), "latin1");
    for (let bytes = 0; bytes <= whole.length; bytes++) {
      lab.host.tree.makeDirectory("/var/log/pods/ns_pod_uid/app");
      lab.host.tree.replace(path, whole.subarray(0, bytes), 0o640);
      const logs = await completed(lab);
      assert.equal(lab.read(), whole.toString("latin1"), `cut off after ${bytes} bytes`);
      await logs.close();
    }
    assert.deepEqual(lab.warnings(), []);
  });

  it("is the same when the shim dies within any write, and the container runs on", async () => {
    for (let bytes = 0; bytes < 130; bytes += 3) {
      await using lab = new LogLab();
      const first = await lab.resumed();
      lab.docker.say("stdout", "already there\n");
      await until("the first line", () => lab.read() !== "");
      const death = new Promise<void>((onDeath) => (lab.files.killWithinWrite = { bytes, onDeath }));
      lab.docker.say("stdout", "torn\n");
      lab.docker.say("stderr", "also torn\n");
      lab.docker.say("stdout", "and this one too\n");
      await death;
      lab.kill(first);
      const second = await lab.resumed();
      lab.docker.say("stdout", "after\n");
      lab.docker.exit();
      assert.equal(await second.finish(lab.docker.id), true);
      assert.equal(lab.read(), expected(lab.docker.said), `died after ${bytes} bytes`);
    }
  });

  it("counts equal parts of a line that is older than the start of the search", async () => {
    await using lab = new LogLab();
    lab.docker.say("stdout", "before\n");
    const nanos = lab.docker.tick();
    for (let n = 0; n < 300; n++) lab.docker.say("stdout", "=".repeat(100), nanos);
    lab.docker.say("stdout", "=\n", nanos);
    lab.docker.exit();
    const lines = expected(lab.docker.said).split("\n");
    for (const kept of [1, 2, 150, 240, 299, 301]) {
      lab.host.tree.makeDirectory("/var/log/pods/ns_pod_uid/app");
      lab.host.tree.replace(path, `${lines.slice(0, kept).join("\n")}\n`, 0o640);
      const logs = await completed(lab);
      assert.equal(lab.read(), expected(lab.docker.said), `${kept} lines were there`);
      await logs.close();
    }
  });

  it("continues after the clock was set back, however far", async () => {
    await using lab = new LogLab();
    const hour = 3_600_000_000_000n;
    for (let n = 0; n < 200; n++) lab.docker.say("stdout", `before ${n}\n`);
    lab.docker.tick(-hour);
    for (let n = 0; n < 200; n++) lab.docker.say("stdout", `after ${n}\n`);
    lab.docker.exit();
    const lines = expected(lab.docker.said).split("\n");
    for (const kept of [100, 200, 201, 350]) {
      lab.host.tree.makeDirectory("/var/log/pods/ns_pod_uid/app");
      lab.host.tree.replace(path, `${lines.slice(0, kept).join("\n")}\n`, 0o640);
      const logs = await completed(lab);
      assert.equal(lab.read(), expected(lab.docker.said), `${kept} lines were there`);
      await logs.close();
    }
    assert.deepEqual(lab.warnings(), []);
  });

  it("logs between which times lines were rotated away, and about how many", async () => {
    await using lab = new LogLab();
    const first = await lab.resumed();
    lab.docker.say("stdout", "written\n");
    await until("the line", () => lab.read() === expected(lab.docker.said));
    lab.kill(first);
    for (let n = 0; n < 100; n++) lab.docker.say("stdout", `missed ${n}\n`);
    lab.docker.rotatedAway = 60;
    const logs = await lab.resumed();
    lab.docker.say("stdout", "last\n");
    lab.docker.exit();
    assert.equal(await logs.finish(lab.docker.id), true);
    assert.equal(lab.read(), expected([lab.docker.said[0]!, ...lab.docker.said.slice(60)]));
    const [warning, ...more] = lab.warnings();
    assert.deepEqual(more, []);
    assert.match(warning!.msg, /no longer holds the last line/);
    assert.equal(warning!["after"], lab.read().split(" ")[0]);
    assert.equal(warning!["before"], lab.read().split("\n")[1]!.split(" ")[0]);
    assert.equal(warning!["estimatedLines"], 59);
    assert.equal(warning!["gapsSoFar"], 1);
  });

  it("continues with new lines when Docker's log was emptied", async () => {
    await using lab = new LogLab();
    const first = await lab.resumed();
    lab.docker.say("stdout", "written\n");
    await until("the line", () => lab.read() === expected(lab.docker.said));
    await first.close();
    lab.docker.rotatedAway = 1;
    await lab.resumed();
    await until("a follow", () => lab.docker.openStreams === 1);
    lab.docker.breakStreams();
    await until("another follow", () => lab.docker.calls.filter(({ follow }) => follow).length === 3);
    lab.docker.say("stdout", "new\n");
    await until("two lines", () => lab.read() === expected(lab.docker.said));
    assert.equal(lab.warnings().filter(({ msg }) => msg.includes("no longer holds")).length, 1);
  });

  it("does not mistake the lines of an older container in the same file for its own", async () => {
    await using lab = new LogLab();
    const old = "2020-01-01T00:00:00.000000000Z stdout F of an older container\ntorn";
    lab.host.tree.makeDirectory("/var/log/pods/ns_pod_uid/app");
    lab.host.tree.replace(path, old, 0o640);
    lab.docker.createdAtNanos = 1_600_000_000_000_000_000n;
    lab.docker.say("stdout", "mine\n");
    lab.docker.exit();
    await completed(lab);
    assert.equal(lab.read(), `${old.split("\n")[0]}\n${expected(lab.docker.said)}`);
    assert.deepEqual(lab.warnings(), []);
  });

  it("ends an incomplete line of a log with a newline and keeps its text", async () => {
    await using lab = new LogLab();
    lab.host.tree.makeDirectory("/var/log/pods/ns_pod_uid/app");
    lab.host.tree.replace(path, "#".repeat(5 * 1024 * 1024), 0o640);
    lab.docker.say("stdout", "mine\n");
    lab.docker.exit();
    await completed(lab);
    assert.equal(lab.read(), `${"#".repeat(5 * 1024 * 1024)}\n${expected(lab.docker.said)}`);
  });

  it("notices that a follow has lost Docker's file", async () => {
    await using lab = new LogLab();
    lab.docker.deafFollows = 1;
    mock.timers.enable({ apis: ["setInterval"] });
    try {
      await lab.resumed();
      await until("a follow", () => lab.docker.openStreams === 1);
      lab.docker.say("stdout", "unheard\n");
      mock.timers.tick(5_000);
      mock.timers.tick(5_000);
      await until("the line", () => lab.read() === expected(lab.docker.said));
    } finally {
      mock.timers.reset();
    }
  });
});

interface Step {
  readonly say: readonly { readonly stream: StreamName; readonly text: string; readonly stepNanos: number }[];
  readonly then: "nothing" | "kill" | "kill in write" | "break" | "rotate" | "rotate dead" | "restart";
  readonly bytes: number;
}

const steps = fc.array(
  fc.record<Step>({
    say: fc.array(
      fc.record({
        stream: fc.constantFrom<StreamName>("stdout", "stderr"),
        text: fc.constantFrom("a\n", "b\n", "\n", "part", "part", "a longer line of text\n"),
        stepNanos: fc.oneof(fc.constant(0), fc.integer({ min: -1_000_000_000, max: 1_000_000_000 })),
      }),
      { maxLength: 12 },
    ),
    then: fc.constantFrom("nothing", "kill", "kill in write", "break", "rotate", "rotate dead", "restart"),
    bytes: fc.nat({ max: 200 }),
  }),
  { maxLength: 12 },
);

describe("any log, with crashes and rotations at any time", () => {
  it("holds each entry once and in order", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        await using lab = new LogLab();
        const story = new Story(lab);
        await story.begin();
        for (const step of script) await story.play(step);
        assert.equal(await story.end(), expected(lab.docker.said));
        assert.deepEqual(
          lab.warnings().filter(({ msg }) => msg.includes("no longer holds")),
          [],
        );
      }),
      { numRuns: 100 },
    );
  });
});

/** Plays a script, as kubelet, Docker and fate would. */
class Story {
  private logs: ContainerLogs | undefined;
  private rotations = 0;

  constructor(private readonly lab: LogLab) {}

  async begin(): Promise<void> {
    this.logs = await this.lab.resumed();
  }

  async play({ say, then, bytes }: Step): Promise<void> {
    const { lab } = this;
    const { docker } = lab;
    let died: Promise<void> | undefined;
    if (then === "kill in write" && say.some(({ text }) => text !== "")) {
      died = new Promise((onDeath) => (lab.files.killWithinWrite = { bytes, onDeath }));
    }
    for (const { stream, text, stepNanos } of say) docker.say(stream, text, docker.tick(BigInt(stepNanos)));
    if (died) {
      await died;
      await this.dieAndReturn();
      return;
    }
    // How far the shim comes before something happens is left to chance.
    for (let turns = bytes % 8; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    await this.suffer(then);
  }

  async end(): Promise<string> {
    const { lab } = this;
    lab.docker.exit();
    assert.equal(await this.logs?.finish(lab.docker.id), true);
    const names = Array.from({ length: this.rotations }, (_, n) => rotatedName(n));
    return [...names, path].map((name) => lab.read(name)).join("");
  }

  private async suffer(then: Step["then"]): Promise<void> {
    const { lab, logs } = this;
    if (then === "break") lab.docker.breakStreams();
    if (then === "kill") await this.dieAndReturn();
    if (then === "restart") {
      await logs?.close();
      await this.begin();
    }
    if (then === "rotate" && lab.host.tree.exists(path)) {
      lab.host.tree.rename(path, rotatedName(this.rotations++));
      await logs?.reopen(lab.docker.id);
    }
    if (then === "rotate dead" && logs && lab.host.tree.exists(path)) {
      // Kubelet dies with the shim, between its rename and its call.
      lab.kill(logs);
      lab.host.tree.rename(path, rotatedName(this.rotations++));
      await this.begin();
    }
  }

  private async dieAndReturn(): Promise<void> {
    if (this.logs) this.lab.kill(this.logs);
    await this.begin();
  }
}

function rotatedName(n: number): string {
  return `${path}.20240101-${String(n).padStart(6, "0")}`;
}
