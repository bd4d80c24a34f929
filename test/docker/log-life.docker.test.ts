import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ContainerState } from "../../src/client/index.js";
import { readContainerLog } from "../../src/index.js";
import {
  basicImageNames,
  hasJournald,
  keepJournal,
  openLab,
  type Dockerd,
  type EngineName,
} from "./lab/index.js";
import { burstLines, CountingContainer, startWithTokens } from "./logs-counting.js";
import { KilledPump, numbersIn, pause } from "./logs-killed-pump.js";
import { openNode, podConfig as podConfigOf, type NodeInView } from "./proxy/node-in-view.js";
import { until } from "./streams.js";

const lab = openLab();
after(() => lab.close());

const engines = ["20.10", "26.1"] as const satisfies readonly EngineName[];

async function textsOf(path: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const { stream, text, partial } of readContainerLog(path)) {
    texts.push(`${stream} ${text.toString("latin1")}${partial ? "" : "$"}`);
  }
  return texts;
}

for (const engine of engines) {
  describe(`the log of each driver on Docker ${engine}`, { timeout: 120_000 }, () => {
    let dockerd: Dockerd;
    before(async () => {
      if (hasJournald) await keepJournal(lab);
      dockerd = await lab.dockerd({ engine, name: "drivers" });
    });
    after(() => dockerd.stop());

    const drivers: [name: string, ...options: string[]][] = [
      ["json-file"],
      ["local"],
      ["syslog", "syslog-address=udp://127.0.0.1:1514"],
      ["journald"],
    ];
    const says = [
      "read go < /control/tokens",
      "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo out $i; echo err $i >&2; done",
      "read go < /control/tokens",
      "printf 'a\\000\\200\\n\\nopen'",
    ].join("\n");

    for (const [driver, ...options] of drivers) {
      const skip = driver === "journald" && !hasJournald ? "there is no systemd-journald here" : false;
      it(`${driver} is whole, also when the shim is killed meanwhile`, { skip }, async () => {
        const flags = ["--log-driver", driver, ...options.flatMap((option) => ["--log-opt", option])];
        const control = join(dockerd.folder, `control-${driver}`);
        const command = ["sh", "-c", says];
        const { id, tokens } = await startWithTokens(lab, dockerd, { control, flags, command });
        const pump = new KilledPump(dockerd, id, `pods/${driver}`);
        pump.start();
        await pump.says("ready");
        await tokens.write("go\n");
        while (pump.sizeBytes() === 0) await pause(5);
        await pump.kill();
        await tokens.write("go\n");
        pump.start();
        await pump.says("complete");
        const said = await textsOf(pump.path);
        const of = (stream: string) => said.filter((line) => line.startsWith(stream));
        const counted = (word: string) =>
          Array.from({ length: 2000 }, (_, n) => `std${word} ${word} ${n + 1}$`);
        const held = await dockerd.docker(["logs", id]);
        const heldOf = (word: string, text: string) =>
          text.split("\n").flatMap((line) => (/^\w+ \d+$/.test(line) ? [`std${word} ${line}$`] : []));
        // What Docker keeps of a driver that it cannot read is what its cache had room for.
        const isCached = driver === "syslog";
        const [out, err] = isCached
          ? [heldOf("out", held.stdout), heldOf("err", held.stderr)]
          : [counted("out"), counted("err")];
        // JSON has no place for bytes that are no text.
        const byte = driver === "json-file" ? "\xef\xbf\xbd" : "\x80";
        assert.deepEqual(of("stderr"), err);
        // Docker 20.10 drops empty lines on their way from the journal.
        const empty = held.stdout.includes("\n\n") ? ["stdout $"] : [];
        if (driver !== "journald") assert.equal(empty.length, 1);
        assert.deepEqual(of("stdout"), [...out, `stdout a\0${byte}$`, ...empty, "stdout open"]);
      });
    }

    it("none cannot be read: a warning is logged, and the log stays empty", async () => {
      const { stdout } = await dockerd.docker([
        ...["run", "--detach", "--log-driver", "none", basicImageNames.busybox, "echo", "unheard"],
      ]);
      const pump = new KilledPump(dockerd, stdout.trim(), "pods/none");
      pump.start();
      await pump.says("complete");
      assert.match(pump.said, /log driver cannot be read/);
      assert.equal(pump.sizeBytes(), 0);
    });

    it("that was rotated while no shim ran resumes with the remaining lines, and the gap is logged", async () => {
      const lines = 40_000;
      const container = await CountingContainer.start(lab, dockerd, { lines, maxSize: "1m", maxFile: 2 });
      const pump = new KilledPump(dockerd, container.id, "pods/gap");
      pump.start();
      await pump.says("ready");
      await container.say(1);
      while (pump.sizeBytes() === 0 || pump.newestNumber() < burstLines - 1_000) await pause(5);
      await pump.kill();
      await container.say(container.burstsLeft);
      const ended = async () =>
        (await dockerd.docker(["inspect", "-f", "{{.State.Running}}", container.id])).stdout;
      while ((await ended()).trim() === "true") await pause(50);
      pump.start();
      await pump.says("complete");
      const numbers = await numbersIn(pump.files());
      const { count, backwards, ended: isEnded } = numbers;
      assert.deepEqual({ backwards, isEnded }, { backwards: 0, isEnded: true });
      assert.ok(count < lines, "Docker has rotated some away");
      const warnings = pump.said.split("\n").filter((line) => line.includes("no longer holds"));
      assert.equal(warnings.length, 1, pump.said);
      const warning = JSON.parse(warnings[0] ?? "") as Record<string, unknown>;
      assert.equal(warning["gapsSoFar"], 1);
      assert.ok(Number(warning["estimatedLines"]) > 0, warnings[0]);
    });
  });
}

interface LoggingPod {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly attempt: number;
  };
  readonly logDirectory: string;
}

async function startContainer(
  { cri: { runtime } }: NodeInView,
  podSandboxId: string,
  sandboxConfig: LoggingPod,
  name: string,
  script: string,
  tty = false,
): Promise<{ id: string; path: string }> {
  const config = {
    ...{ metadata: { name, attempt: 0 }, image: { image: "busybox:1.36" }, linux: {}, tty },
    ...{ command: ["sh", "-c", script], logPath: `${name}/0.log` },
  };
  const { containerId } = await runtime.createContainer({ podSandboxId, sandboxConfig, config });
  await runtime.startContainer({ containerId });
  return { id: containerId, path: join(sandboxConfig.logDirectory, config.logPath) };
}

async function untilContainerExited({ cri }: NodeInView, containerId: string): Promise<void> {
  for (;;) {
    const { status } = await cri.runtime.containerStatus({ containerId });
    if (status?.state === ContainerState.CONTAINER_EXITED) return;
    await pause(5);
  }
}

describe("the log of a container of the shim", { timeout: 120_000 }, () => {
  let dockerd: Dockerd;
  let node: NodeInView;
  let podSandboxId: string;
  const podConfig = {
    metadata: { name: "logs", namespace: "ns", uid: "uid", attempt: 0 },
    logDirectory: "",
    linux: { securityContext: { namespaceOptions: { network: 2 } } },
  };

  before(async () => {
    dockerd = await lab.dockerd({ name: "loglife", iptables: false });
    node = await openNode(dockerd);
    podConfig.logDirectory = join(dockerd.folder, "pods/ns_logs_uid");
    ({ podSandboxId } = await node.cri.runtime.runPodSandbox({ config: podConfig }));
  });
  after(async () => {
    await node[Symbol.asyncDispose]();
    await dockerd.stop();
  });

  const start = (name: string, script: string, tty = false) =>
    startContainer(node, podSandboxId, podConfig, name, script, tty);
  const untilExited = (containerId: string) => untilContainerExited(node, containerId);

  it("is complete as soon as its exit shows, however short it lived", async () => {
    for (let n = 0; n < 10; n++) {
      const { id, path } = await start(`short-${n}`, "echo first; echo second >&2; printf last");
      await untilExited(id);
      assert.deepEqual((await textsOf(path)).sort(), ["stderr second$", "stdout first$", "stdout last"]);
    }
  });

  it("is complete when StopContainer and RemoveContainer answer", async () => {
    const script = "trap 'echo bye; exit' TERM; echo hello; while :; do sleep 0.1; done";
    const stopped = await start("stopped", script);
    // Its trap is set then.
    await until(async () => (await textsOf(stopped.path)).length > 0);
    await node.cri.runtime.stopContainer({ containerId: stopped.id, timeout: 10n });
    assert.deepEqual(await textsOf(stopped.path), ["stdout hello$", "stdout bye$"]);
    const removed = await start("removed", "i=0; while :; do i=$((i+1)); echo $i; done");
    await until(async () => (await stat(removed.path)).size > 100_000);
    await node.cri.runtime.removeContainer({ containerId: removed.id });
    const lines = await textsOf(removed.path);
    // The last may have been cut off by the kill.
    const whole = lines.filter((line) => line.endsWith("$"));
    assert.ok(whole.length > 100 && lines.length - whole.length <= 1);
    assert.deepEqual(
      whole,
      whole.map((_, n) => `stdout ${n + 1}$`),
    );
  });

  it("has a terminal's output as stdout, and Docker's copy is bounded", async () => {
    const { id, path } = await start("terminal", "echo out; echo err >&2", true);
    await untilExited(id);
    assert.deepEqual(await textsOf(path), ["stdout out\r$", "stdout err\r$"]);
    assert.match(await readFile(path, "utf8"), /^\S+Z stdout F out\r\n/);
    const { stdout } = await dockerd.docker(["inspect", "-f", "{{json .HostConfig.LogConfig}}", id]);
    assert.deepEqual(JSON.parse(stdout), {
      Type: "json-file",
      Config: { "max-file": "2", "max-size": "33554432" },
    });
  });
});

for (const engine of ["20.10", "26.1", "28"] as const) {
  describe(`bytes of a container of the shim on Docker ${engine}`, { timeout: 240_000 }, () => {
    it("are in its log as they were written", async () => {
      const dockerd = await lab.dockerd({ engine, name: "bytes", iptables: false });
      await using node = await openNode(dockerd);
      const config = { ...podConfigOf("bytes"), logDirectory: join(dockerd.folder, "pods/ns_bytes_uid") };
      const { podSandboxId } = await node.cri.runtime.runPodSandbox({ config });
      // The first two bytes of the euro sign end Docker's entry of 16 KiB, and its third begins the next.
      const script = [
        "head -c 16382 /dev/zero | tr '\\0' x; printf '\\342\\202\\254 next\\n'",
        "printf 'latin1 \\351\\n'; head -c 32768 /dev/zero | tr '\\0' y; printf '\\n\\377\\200'",
      ].join("; ");
      const { id, path } = await startContainer(node, podSandboxId, config, "bytes", script);
      await untilContainerExited(node, id);
      const lines = (await textsOf(path)).map((line) =>
        line.replace(/(.)\1{99,}/g, (run, it: string) => `${it}*${run.length}`),
      );
      const euro = "\xe2\x82\xac";
      const wanted = [
        `stdout x*16382${euro} next$`,
        "stdout latin1 \xe9$",
        "stdout y*32768$",
        "stdout \xff\x80",
      ];
      // Before Docker 23 no driver keeps both the bytes and the ends of lines; README says so.
      const torn = wanted.map((line) => line.replace(/[\x80-\xff]/g, "\xef\xbf\xbd"));
      assert.deepEqual(lines, engine === "20.10" ? torn : wanted);
      await dockerd.stop();
    });
  });
}
