import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { chained, pod, podId } from "./plugin-lab.js";

describe("checking a pod", () => {
  it("asks every plugin with the result of ADD", async () => {
    await using lab = await chained({ cniVersion: "0.4.0" });
    const network = await lab.network();
    await network.attach(pod(), {});
    const added = await lab.calls();
    await network.check(pod(), {});
    const [bridge, portmap, ...more] = await lab.calls();
    assert.deepEqual(more, []);
    assert.ok(bridge && portmap);
    assert.deepEqual([bridge.verb, bridge.type, portmap.type], ["CHECK", "bridge", "portmap"]);
    assert.equal(bridge.env["CNI_ARGS"], added[1]?.env["CNI_ARGS"]);
    assert.deepEqual(bridge.request["prevResult"], portmap.request["prevResult"]);
    assert.equal((bridge.request["prevResult"] as { ips: unknown[] }).ips.length, 2);
    await lab.fails("bridge", "CHECK", { code: 100, msg: "veth is gone" });
    await assert.rejects(network.check(pod(), {}), { kind: "failed-precondition", message: /veth is gone/ });
    assert.deepEqual(await lab.verbs(), ["CHECK bridge"]);
  });

  it("does not expect the hardware addresses of the node's own interfaces, which udev changes", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await network.attach(pod(), {});
    await lab.calls();
    await network.check(pod(), {});
    for (const { request } of await lab.calls()) {
      assert.deepEqual((request["prevResult"] as { interfaces: unknown }).interfaces, [
        { name: "cni0" },
        { name: "eth0", mac: "99:88:77:66:55:44", sandbox: "/proc/1/ns/net" },
      ]);
    }
  });

  it("runs no plugin if the configuration disables it", async () => {
    await using lab = await chained({ disableCheck: "TRUE" });
    const network = await lab.network();
    await network.attach(pod(), {});
    await lab.calls();
    await network.check(pod(), {});
    assert.deepEqual(await lab.calls(), []);
  });

  it("reports what cannot be checked", async () => {
    await using lab = await chained({ cniVersion: "0.3.1" });
    const network = await lab.network();
    await assert.rejects(network.check(pod(), {}), {
      kind: "failed-precondition",
      message: /no CNI result is cached/,
    });
    await network.attach(pod(), {});
    await assert.rejects(network.check(pod(), {}), {
      kind: "unsupported",
      message: /CHECK needs 0\.4\.0/,
    });
  });
});

describe("collecting garbage", () => {
  const stale = "e".repeat(64);

  it("deletes the recorded attachments of missing pods, and runs the plugins' GC", async () => {
    await using lab = await chained({ cniVersion: "1.1.0" });
    const before = await lab.network();
    await before.attach(pod(), {});
    await before.attach(pod({ id: stale }), {});
    const network = await lab.network();
    await lab.calls();
    await network.gc([podId], {});
    const calls = await lab.calls();
    const netns = join(lab.folder, "cache", "docker-cri-netns", stale);
    assert.deepEqual(
      calls.map(({ verb, type, env }) => [verb, type, env["CNI_CONTAINERID"], env["CNI_NETNS"]]),
      [
        ["DEL", "portmap", stale, netns],
        ["DEL", "bridge", stale, netns],
        ["GC", "bridge", undefined, undefined],
        ["GC", "portmap", undefined, undefined],
        ["DEL", "loopback", stale, netns],
      ],
    );
    const valid = [{ containerID: podId, ifname: "eth0" }];
    assert.deepEqual(calls[2]?.request["cni.dev/valid-attachments"], valid);
    assert.deepEqual(calls[2].request["cni.dev/attachments"], valid);
    assert.equal(calls[2].request["prevResult"], undefined);
    assert.ok(calls[2].env["CNI_PATH"]);
    assert.deepEqual(await lab.cached(), [`cni-loopback-${podId}-lo`, `podnet-${podId}-eth0`]);
    assert.equal(network.cachedIps(stale), undefined);
    assert.deepEqual(network.cachedIps(podId), ["10.1.0.5", "fd00::5"]);
    assert.deepEqual(await lab.kept(), [podId]);
  });

  it("leaves pods alone that were attached meanwhile, and asks no plugins before 1.1.0", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await network.attach(pod(), {});
    await lab.calls();
    await network.gc([], {});
    assert.deepEqual(await lab.calls(), []);
    assert.equal((await lab.cached()).length, 2);
  });

  it("does nothing if the configuration disables it", async () => {
    await using lab = await chained({ cniVersion: "1.1.0", disableGC: true });
    await (await lab.network()).attach(pod(), {});
    const network = await lab.network();
    await lab.calls();
    await network.gc([], {});
    const verbs = await lab.verbs();
    assert.deepEqual(verbs, ["DEL loopback"]);
    assert.deepEqual(await lab.cached(), [`podnet-${podId}-eth0`]);
  });

  it("tries everything and reports every failure", async () => {
    await using lab = await chained({ cniVersion: "1.1.0" });
    const before = await lab.network();
    await before.attach(pod(), {});
    const network = await lab.network();
    await lab.fails("portmap", "DEL", { code: 100, msg: "first" });
    await lab.fails("bridge", "GC", { code: 100, msg: "second" });
    await lab.fails("portmap", "GC", { code: 100, msg: "third" });
    await assert.rejects(network.gc([], {}), { message: /first.*second.*third/s });
    assert.deepEqual(await lab.cached(), [`podnet-${podId}-eth0`]);
  });

  it("never runs beside an attach or a detach", async () => {
    await using lab = await chained({ cniVersion: "1.1.0" });
    const network = await lab.network();
    const busy = `mkdir '${lab.folder}/busy' || exit 1; sleep 0.3; rmdir '${lab.folder}/busy'; `;
    await lab.does("bridge", "ADD", `${busy} cat '${lab.folder}/behaviour/bridge.ADD.json'`);
    await lab.does("bridge", "GC", busy);
    const attaching = network.attach(pod(), {});
    const collecting = network.gc([], {});
    await attaching;
    const detaching = network.detach(pod(), {});
    await Promise.all([collecting, detaching]);
    const verbs = await lab.verbs();
    assert.equal(verbs.filter((verb) => verb === "GC bridge").length, 1);
  });
});
