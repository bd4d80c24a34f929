import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { NodeHost } from "../../../src/drivers/node/index.js";
import { chained, pod, podId } from "./plugin-lab.js";

/** What a plugin does on ADD, and what the pod's owner is told. */
const outputs: readonly (readonly [name: string, shell: string, kind: string, message: RegExp])[] = [
  [
    "prints nothing",
    "exit 0",
    "internal",
    /portmap, ADD in network podnet exited with code 0, but printed nothing/,
  ],
  [
    "prints garbage",
    "head -c 5000 /dev/urandom",
    "internal",
    /exited with code 0, but its output is not valid/,
  ],
  [
    "prints half a result",
    `printf '{"cniVersion":"1.0.0","ips":[{"addr'`,
    "internal",
    /is not valid: \{"cniVersion/,
  ],
  ["prints a list", "echo '[]'", "internal", /is not valid: \[\]/],
  ["prints null", "echo null", "internal", /is not valid: null/],
  ["logs before its result", `echo starting; echo '{}'`, "internal", /is not valid: starting \{\}/],
  [
    "prints a bad address",
    `echo '{"ips":[{"address":"10.1.0.300/16"}]}'`,
    "internal",
    /address "10\.1\.0\.300\/16"/,
  ],
  [
    "prints an address without a length",
    `echo '{"ips":[{"address":"10.1.0.3"}]}'`,
    "internal",
    /address "10\.1\.0\.3"/,
  ],
  ["prints no address at all", `echo '{"ips":[{}]}'`, "internal", /address without a value/],
  ["prints ips that are no list", `echo '{"ips":{"0":1}}'`, "internal", /its ips is not a list/],
  ["prints interfaces of nothing", `echo '{"interfaces":[null]}'`, "internal", /interfaces is not an object/],
  ["prints a version of its own", `echo '{"cniVersion":"7.0.0"}'`, "internal", /its cniVersion is "7\.0\.0"/],
  [
    "exits 0 with an error",
    `echo '{"code":7,"msg":"bad subnet"}'`,
    "failed-precondition",
    /code 7: bad subnet\. Correct the network configuration/,
  ],
  [
    "exits 1 with an error",
    `echo '{"code":50,"msg":"down"}'; exit 1`,
    "unavailable",
    /code 50: down\. The plugin is not available/,
  ],
  [
    "exits 1 with a bare message",
    `echo '{"msg":"oh no"}'; exit 1`,
    "failed-precondition",
    /failed: oh no\. See the plugin/,
  ],
  [
    "exits 1 with an empty object",
    `echo '{}'; exit 1`,
    "failed-precondition",
    /code 1 without a CNI error; it printed \{\}/,
  ],
  [
    "exits 1 with text on standard error",
    "echo 'panic: boom' >&2; exit 2",
    "failed-precondition",
    /code 2 without a CNI error; on standard error: panic: boom/,
  ],
  ["is killed", "kill -SEGV $$", "failed-precondition", /code 139 .* it printed nothing/],
  [
    "tells of control characters",
    `printf '{"code":9,"msg":"a\\\\u001b[31m\\\\nb"}'; exit 1`,
    "failed-precondition",
    /code 9: a \[31m b\./,
  ],
];

describe("a plugin that", () => {
  for (const [name, shell, kind, message] of outputs) {
    it(`${name} costs the pod its network and nothing else`, async () => {
      await using lab = await chained();
      const network = await lab.network();
      await lab.does("portmap", "ADD", shell);
      await assert.rejects(network.attach(pod(), {}), { name: "ShimError", kind, message });
      assert.deepEqual((await lab.verbs()).slice(3), ["DEL portmap", "DEL bridge", "DEL loopback"]);
      assert.deepEqual(await lab.cached(), []);
      assert.equal(network.status().ready, true);
    });
  }

  it("prints 100 MB is killed", async () => {
    await using lab = await chained();
    const network = await lab.network();
    for (const shell of ["head -c 100000000 /dev/zero", "head -c 100000000 /dev/zero >&2"]) {
      await lab.does("portmap", "ADD", shell);
      await assert.rejects(network.attach(pod(), {}), {
        kind: "resource-exhausted",
        message: /portmap, ADD in network podnet: .* more than 4194304 bytes/,
      });
      assert.deepEqual(await lab.cached(), []);
    }
  });

  it("hangs is killed at its deadline with all that it started, before anything is undone", async () => {
    await using lab = await chained();
    const network = await lab.network({ timeoutMs: 1_500 });
    const pids = join(lab.folder, "pids");
    await lab.does(
      "portmap",
      "ADD",
      `sleep 60 & echo $! >>'${pids}'; setsid sleep 60 & echo $! >>'${pids}'
      (setsid sh -c "echo \\$\\$ >>'${pids}'; exec sleep 60" & exit); wait`,
    );
    await assert.rejects(network.attach(pod(), {}), {
      kind: "deadline-exceeded",
      message: /portmap, ADD in network podnet: .* still running after 1500 ms, killed\. See whether/,
    });
    const { processes } = new NodeHost();
    const started = (await readFile(pids, "utf8")).trim().split("\n").map(Number);
    assert.equal(started.length, 3);
    for (const pid of started) assert.equal(await processes.isAlive(pid), false);
    assert.deepEqual((await lab.verbs()).slice(3), ["DEL portmap", "DEL bridge", "DEL loopback"]);
  });

  it("leaves a child that holds its output is taken at its word", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await lab.does("portmap", "ADD", `sleep 30 & cat '${lab.folder}/behaviour/portmap.ADD.json'`);
    const startMs = performance.now();
    const { ips } = await network.attach(pod(), {});
    assert.deepEqual(ips, ["10.1.0.5", "fd00::5"]);
    assert.ok(performance.now() - startMs < 20_000);
  });

  it("prints on DEL is not listened to, unless it is an error", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await network.attach(pod(), {});
    await lab.does("bridge", "DEL", `echo '{"code":11,"msg":"wait"}'`);
    await assert.rejects(network.detach(pod(), {}), {
      kind: "unavailable",
      message: /code 11: wait\. It asks/,
    });
    await lab.does("bridge", "DEL", "echo all clean");
    await network.detach(pod(), {});
    assert.deepEqual(await lab.cached(), []);
  });

  it("hangs in undoing does not keep the others from it", async () => {
    await using lab = await chained();
    const network = await lab.network({ timeoutMs: 1_500 });
    await lab.fails("portmap", "ADD", { code: 100, msg: "the first error" });
    await lab.does("portmap", "DEL", "sleep 60");
    await assert.rejects(network.attach(pod(), {}), { message: /the first error/ });
    assert.deepEqual((await lab.verbs()).slice(3), ["DEL portmap", "DEL bridge", "DEL loopback"]);
    assert.deepEqual(await lab.cached(), [`podnet-${podId}-eth0`]);
  });

  it("is being written cannot be started for a moment, and is tried again", async () => {
    await using lab = await chained();
    const network = await lab.network();
    // A copy of a real program, held open for writing: the kernel refuses to run it.
    const script = `cp /bin/true '${lab.folder}/bin/portmap'; sleep 0.6 >>'${lab.folder}/bin/portmap' &`;
    await lab.does("bridge", "ADD", `${script} cat '${lab.folder}/behaviour/bridge.ADD.json'`);
    await assert.rejects(network.attach(pod(), {}), {
      message: /portmap, ADD in network podnet exited with code 0, but printed nothing/,
    });
  });
});
