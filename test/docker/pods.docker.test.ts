import assert from "node:assert/strict";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { PodSandboxState } from "../../src/client/index.js";
import { newerPlugins, openLab, waitUntil } from "./lab/index.js";
import {
  assertSameTraces,
  eachAtOnce,
  openPodNode,
  podConfig,
  realPlugins,
  serveShim,
  untilReady,
  writePlugin,
  type PodNode,
  type ServedShim,
} from "./pods-node.js";
import { until } from "./streams.js";

const podCount = 100;
const podsAtOnce = 8;
const killDelaysMs = [5, 30, 80, 150, 250, 400, 600, 900];

const lab = openLab();
after(async () => {
  await lab.close();
});

describe("pods on a real engine with real CNI plugins", { timeout: 900_000 }, () => {
  let node: PodNode;
  let shim: ServedShim;
  before(async () => {
    const dockerd = await lab.dockerd({ name: "pods", engine: "20.10" });
    node = await openPodNode(lab, dockerd, "pods", 61);
    shim = await serveShim(lab, node);
  });

  const run = async (name: string, wish = {}) =>
    (await shim.cri.runtime.runPodSandbox({ config: podConfig(name, wish) })).podSandboxId;

  const end = async (podSandboxId: string) => {
    await shim.cri.runtime.stopPodSandbox({ podSandboxId });
    await shim.cri.runtime.removePodSandbox({ podSandboxId });
  };

  const status = async (podSandboxId: string) => {
    const { status } = await shim.cri.runtime.podSandboxStatus({ podSandboxId });
    assert.ok(status);
    return status;
  };

  it("leaves no trace of a hundred pods that are made and removed eight at a time", async () => {
    const clean = await node.traces();
    const names = Array.from({ length: podCount }, (_, index) => `many-${index}`);
    const addresses = new Set<string>();
    await eachAtOnce(names, podsAtOnce, async (name) => {
      const id = await run(name, { hostPort: 20_000 + Number(name.slice(5)) });
      addresses.add((await status(id)).network?.ip ?? "");
      await end(id);
    });
    assert.ok(!addresses.has(""), "a pod had no address");
    await assertSameTraces(node, clean);
  });

  it("reports both families' addresses of a pod, and keeps a host network pod off the network", async () => {
    const clean = await node.traces();
    const both = await run("both");
    const { network } = await status(both);
    assert.match(network?.ip ?? "", /^10\.219\.61\./);
    assert.match(network?.additionalIps[0]?.ip ?? "", /^fd00:219:61:/);
    const held = (await node.traces()).addresses;
    const onHost = await run("host", { hostNetwork: true });
    assert.deepEqual((await node.traces()).addresses, held);
    assert.equal((await status(onHost)).state, PodSandboxState.SANDBOX_READY);
    assert.equal((await status(onHost)).network?.ip ?? "", "");
    for (const id of [both, onHost]) await end(id);
    await assertSameTraces(node, clean);
  });

  it("gives two pods one host port on different addresses, and refuses it to a third with nothing left", async () => {
    const clean = await node.traces();
    const first = await run("first", { hostPort: 21_080, hostIp: "127.0.0.1" });
    const second = await run("second", { hostPort: 21_080, hostIp: "10.219.61.1" });
    const { containers } = await node.traces();
    await assert.rejects(run("third", { hostPort: 21_080, hostIp: "127.0.0.1" }), /21080/);
    assert.deepEqual((await node.traces()).containers, containers);
    for (const id of [first, second]) await end(id);
    await assertSameTraces(node, clean);
  });

  it("undoes everything when the last plugin fails, and reports its error", async () => {
    const clean = await node.traces();
    await writePlugin(
      node,
      "bandwidth",
      'if [ "$CNI_COMMAND" = ADD ]; then echo \'{"cniVersion":"1.0.0","code":11,"msg":"no bandwidth today"}\'; exit 1; fi\n' +
        `exec ${realPlugins}/bandwidth`,
    );
    try {
      await assert.rejects(run("refused", { hostPort: 22_080 }), /no bandwidth today/);
      await assertSameTraces(node, clean);
    } finally {
      await rm(join(node.ownPlugins, "bandwidth"));
    }
    await end(await run("refused", { hostPort: 22_080 }));
    await assertSameTraces(node, clean);
  });

  for (const version of ["of Debian 12", "of Debian 14"]) {
    it(`leaves nothing of pods whose sandbox ended first, with plugins ${version}`, async () => {
      const newer = version.endsWith("14") ? await newerPlugins() : undefined;
      for (const plugin of newer === undefined
        ? []
        : ["bridge", "portmap", "bandwidth", "host-local", "loopback"])
        await writePlugin(node, plugin, `exec ${newer}/${plugin}`);
      const clean = await node.traces();
      const removed = await run("behind", { hostPort: 23_080 });
      assert.equal((await node.traces()).rules.length > clean.rules.length, true, "there is masquerading");
      await node.dockerd.docker(["rm", "-f", removed]);
      await assertSameTraces(node, clean);
      await end(removed);

      const killed = await run("killed-first", { hostPort: 23_081 });
      await node.dockerd.docker(["kill", killed]);
      await end(killed);
      await assertSameTraces(node, clean);

      const unseen = await run("unseen", { hostPort: 23_082 });
      const gone = await run("gone", { hostPort: 23_083 });
      await shim.service.kill();
      await node.dockerd.docker(["kill", unseen]);
      await node.dockerd.docker(["rm", "-f", gone]);
      await restart();
      await end(unseen);
      await assertSameTraces(node, clean);

      const stopped = [await run("stopped-1", { hostPort: 23_084 }), await run("stopped-2")];
      await node.dockerd.restart({ keepContainers: false });
      await untilReady(shim.cri);
      for (const id of stopped) await end(id);
      await assertSameTraces(node, clean);
      if (newer === undefined) return;
      for (const plugin of await readdir(node.ownPlugins)) await rm(join(node.ownPlugins, plugin));
      await restart();
    });
  }

  it("reports a pod as not ready after its sandbox was restarted, and removes it completely", async () => {
    const clean = await node.traces();
    const id = await run("restarted", { hostPort: 28_080 });
    await node.dockerd.docker(["restart", "--time", "0", id]);
    const notReady = async () => (await status(id)).state === PodSandboxState.SANDBOX_NOTREADY;
    await until(notReady);
    assert.equal((await status(id)).network?.ip ?? "", "");
    await restart();
    assert.ok(await notReady(), "the pod is ready for a shim that comes later");
    await end(id);
    await assertSameTraces(node, clean);
  });

  it("gives a retry a pod that stays when the first call ran out of time in a slow plugin", async () => {
    const clean = await node.traces();
    await writePlugin(node, "bridge", `[ "$CNI_COMMAND" != ADD ] || sleep 3\nexec ${realPlugins}/bridge`);
    for (const name of ["slow-1", "slow-2", "slow-3"]) {
      const config = podConfig(name, { hostPort: 28_081 });
      await assert.rejects(shim.cri.runtime.runPodSandbox({ config }, { timeoutMs: 1_500 }), /deadline/);
      const { podSandboxId } = await shim.cri.runtime.runPodSandbox({ config });
      await pause(500);
      assert.equal((await status(podSandboxId)).state, PodSandboxState.SANDBOX_READY);
      assert.match((await status(podSandboxId)).network?.ip ?? "", /^10\.219\.61\./);
      assert.deepEqual((await node.traces()).containers.length, clean.containers.length + 1);
      await end(podSandboxId);
      await assertSameTraces(node, clean);
    }
    await rm(join(node.ownPlugins, "bridge"));
  });

  it("leaves nothing that a retry does not clear up, however a kill -9 strikes a pod's making", async () => {
    const clean = await node.traces();
    for (const delayMs of killDelaysMs) {
      const cut = run("killed", { hostPort: 24_080 }).catch(() => undefined);
      await strike(delayMs, cut);
      const id = await retry(() => run("killed", { hostPort: 24_080 }));
      for (const { id } of (await shim.cri.runtime.listPodSandbox({})).items) await end(id);
      await end(id);
      await assertSameTraces(node, clean);
    }
  });

  it("ends a pod's container beside its network, whose namespace lives until the plugins are done", async () => {
    const clean = await node.traces();
    const id = await run("beside", { hostPort: 27_080 });
    const gate = join(node.dockerd.folder, "gate");
    await writePlugin(
      node,
      "bandwidth",
      `[ "$CNI_COMMAND" != DEL ] || until [ -e ${gate} ]; do sleep 0.1; done\nexec ${realPlugins}/bandwidth`,
    );
    const running = async () =>
      (await node.dockerd.docker(["inspect", "-f", "{{.State.Running}}", id])).stdout.trim();
    let stopped = false;
    const stopping = shim.cri.runtime.stopPodSandbox({ podSandboxId: id }).then(() => (stopped = true));
    try {
      await until(async () => (await running()) === "false");
      const during = await node.traces();
      assert.equal(during.namespaces.length, 1);
      assert.equal(during.links.length, 1, "the pod's interface is still there");
      assert.equal(stopped, false);
    } finally {
      await writeFile(gate, "");
    }
    await stopping;
    await rm(join(node.ownPlugins, "bandwidth"));
    assert.deepEqual((await node.traces()).namespaces, []);
    await end(id);
    await assertSameTraces(node, clean);
  });

  it("leaves nothing of a plugin that outlives the shim and would connect a pod after its end", async () => {
    const clean = await node.traces();
    const slowMs = 3_000;
    await writePlugin(
      node,
      "bridge",
      `[ "$CNI_COMMAND" != ADD ] || sleep ${slowMs / 1000}\nexec ${realPlugins}/bridge`,
    );
    const cut = run("outlived", { hostPort: 26_080 }).catch(() => undefined);
    await waitUntil(async () => (await node.traces()).results.length > 0, 10_000, 20);
    await rm(join(node.ownPlugins, "bridge"));
    await strike(100, cut);
    const id = await retry(() => run("outlived", { hostPort: 26_080 }));
    await end(id);
    await pause(slowMs);
    await assertSameTraces(node, clean);
  });

  it("leaves nothing that a retry does not clear up, however a kill -9 strikes a pod's end", async () => {
    const clean = await node.traces();
    for (const delayMs of killDelaysMs) {
      const podSandboxId = await run("ending", { hostPort: 25_080 });
      const cut = shim.cri.runtime.stopPodSandbox({ podSandboxId }).catch(() => undefined);
      await strike(delayMs, cut);
      await end(podSandboxId);
      await assertSameTraces(node, clean);
    }
  });

  /** Kills the shim in the middle of a call, and starts it again. */
  async function strike(delayMs: number, call: Promise<unknown>): Promise<void> {
    await pause(delayMs);
    await shim.service.kill();
    await call;
    await restart();
  }

  async function restart(): Promise<void> {
    await shim.service.kill();
    await shim.service.start();
    await untilReady(shim.cri);
  }
});

/** As a kubelet does: until it succeeds, for half a minute. */
async function retry<T>(work: () => Promise<T>): Promise<T> {
  const end = Date.now() + 30_000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (Date.now() > end) throw error;
      await pause(200);
    }
  }
}
