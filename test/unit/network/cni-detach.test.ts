import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { chained, pod, PluginLab, podId, resultWith } from "./plugin-lab.js";

describe("detaching a pod", () => {
  it("counts a pod that was never attached as detached, after trying the current network", async () => {
    await using lab = await chained();
    const network = await lab.network();
    const portMappings = [{ hostPort: 80, containerPort: 8080, protocol: "tcp" }] as const;
    await network.detach({ ...pod({ portMappings }), netnsPath: "/none/such" }, {});
    const [portmap, bridge, ...more] = await lab.calls();
    assert.deepEqual(more, []);
    assert.equal(portmap?.verb, "DEL");
    assert.equal(portmap.env["CNI_NETNS"], "");
    assert.equal(portmap.request["prevResult"], undefined);
    assert.deepEqual(portmap.request["runtimeConfig"], {
      portMappings: [{ hostPort: 80, containerPort: 8080, protocol: "tcp", hostIP: "" }],
    });
    assert.equal(bridge?.type, "bridge");
  });

  it("asks no plugin a second time", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await network.attach(pod(), {});
    await network.detach(pod(), {});
    await lab.calls();
    await network.detach(pod(), {});
    assert.deepEqual(await lab.calls(), []);
    await network.attach(pod(), {});
    await network.detach(pod(), {});
    assert.equal((await lab.calls()).length, 6);
  });

  it("uses the configuration that attached the pod, after a restart and when it was changed or is gone", async () => {
    await using lab = await chained();
    const portMappings = [{ hostPort: 80, containerPort: 8080, protocol: "tcp" }] as const;
    await (await lab.network()).attach(pod({ portMappings }), {});
    await lab.calls();
    await lab.noConf();
    await lab.conf("05-other.conflist", {
      cniVersion: "1.0.0",
      name: "other",
      plugins: [{ type: "portmap" }],
    });
    const changed = await lab.network();
    assert.deepEqual(changed.cachedIps(podId), ["10.1.0.5", "fd00::5"]);
    await lab.fails("bridge", "DEL", { code: 100, msg: "not now" });
    await assert.rejects(changed.detach(pod(), {}), {
      message:
        /failed to teardown pod "web-0_shop" network: CNI plugin bridge, DEL in network podnet .*not now/,
    });
    await lab.noConf();
    await lab.behaves("bridge", "DEL");
    const without = await lab.network();
    assert.equal(without.status().ready, false);
    await lab.calls();
    await without.detach({ ...pod(), netnsPath: undefined, name: "", namespace: "", uid: "" }, {});
    const [portmap, bridge, ...more] = await lab.calls();
    assert.deepEqual(more, [], "loopback has nothing to do in a namespace that is gone");
    assert.deepEqual(portmap?.request, {
      type: "portmap",
      snat: true,
      cniVersion: "1.0.0",
      name: "podnet",
      runtimeConfig: { portMappings: [{ hostPort: 80, containerPort: 8080, protocol: "tcp", hostIP: "" }] },
      prevResult: resultWith("10.1.0.5/16", "fd00::5/64"),
    });
    assert.match(bridge?.env["CNI_ARGS"] ?? "", /K8S_POD_NAME=web-0;/);
    assert.deepEqual(await lab.cached(), []);
  });

  it("stops at the first failure, and a retry starts from the beginning", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await network.attach(pod(), {});
    await lab.calls();
    await lab.fails("portmap", "DEL", { code: 100, msg: "not now" });
    await assert.rejects(network.detach(pod(), {}), { message: /not now/ });
    assert.deepEqual(await lab.verbs(), ["DEL portmap", "DEL loopback"]);
    assert.deepEqual(await lab.cached(), [`podnet-${podId}-eth0`]);
    await lab.behaves("portmap", "DEL");
    await network.detach(pod(), {});
    assert.deepEqual(await lab.verbs(), ["DEL portmap", "DEL bridge"]);
    assert.deepEqual(await lab.cached(), []);
  });

  it("takes a plugin's word that the container is unknown, and does not mind a loopback that fails", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await network.attach(pod(), {});
    await lab.calls();
    await lab.fails("portmap", "DEL", { code: 3, msg: "no such container" });
    await lab.fails("loopback", "DEL", { code: 100, msg: "no" });
    await network.detach(pod(), {});
    assert.deepEqual(await lab.verbs(), ["DEL portmap", "DEL bridge", "DEL loopback"]);
    assert.deepEqual(await lab.cached(), []);
  });

  it("reports that a plugin is gone, and never that something is not found", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await network.attach(pod(), {});
    await lab.removePlugin("portmap");
    await assert.rejects(network.detach(pod(), {}), {
      kind: "failed-precondition",
      message: /CNI plugin portmap is not in .*bin: install it there/,
    });
  });

  it("succeeds with no configuration and nothing on record", async () => {
    await using lab = await PluginLab.open();
    const network = await lab.network();
    await network.detach(pod(), {});
    assert.deepEqual(await lab.calls(), []);
  });

  it("can be done whatever the pod's name and ports", async () => {
    await using lab = await chained();
    const network = await lab.network();
    const portMappings = [{ hostPort: -1, containerPort: 0, protocol: "tcp" }] as const;
    await network.detach(pod({ name: "a;b", portMappings }), {});
    const [portmap] = await lab.calls();
    assert.doesNotMatch(portmap?.env["CNI_ARGS"] ?? "", /K8S_POD_NAME=/);
    assert.match(portmap?.env["CNI_ARGS"] ?? "", /K8S_POD_NAMESPACE=shop/);
    assert.deepEqual(portmap?.request["runtimeConfig"], { portMappings: [] });
  });

  it("keeps the namespace until the plugins are done, and reports that the pod may end", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await network.attach(pod(), {});
    await lab.calls();
    assert.equal(await network.holdNamespace(podId, "/proc/self/ns/net"), true);
    await lab.does("portmap", "DEL", "sleep 0.2");
    await network.detach(pod(), {});
    const calls = await lab.calls();
    const kept = join(lab.folder, "cache", "docker-cri-netns", podId);
    assert.deepEqual(new Set(calls.map(({ env }) => env["CNI_NETNS"])), new Set([kept]));
    assert.deepEqual(await lab.kept(), []);
    assert.equal(
      await network.holdNamespace(podId, "/proc/self/ns/net"),
      false,
      "there is nothing to keep it for",
    );
    assert.deepEqual(await lab.kept(), []);
    await network.detach(pod(), {});
  });

  it("keeps the namespace from attach on, so that plugins find it when the pod's processes have ended", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await network.attach(pod(), {});
    assert.deepEqual(await lab.kept(), [podId]);
    await lab.calls();
    const again = await lab.network();
    await again.detach({ ...pod(), netnsPath: undefined }, {});
    const calls = await lab.calls();
    const kept = join(lab.folder, "cache", "docker-cri-netns", podId);
    assert.deepEqual(new Set(calls.map(({ env }) => env["CNI_NETNS"])), new Set([kept]));
    assert.deepEqual(await lab.kept(), []);
  });

  it("detaches a pod without a namespace after a reboot", async () => {
    await using lab = await chained();
    await (await lab.network()).attach(pod(), {});
    await lab.calls();
    const kept = join(lab.folder, "cache", "docker-cri-netns", podId);
    await rm(kept);
    await writeFile(kept, "");
    await (await lab.network()).detach({ ...pod(), netnsPath: undefined }, {});
    const calls = await lab.calls();
    assert.deepEqual(new Set(calls.map(({ env }) => env["CNI_NETNS"])), new Set([""]));
    assert.deepEqual(await lab.kept(), []);
    assert.deepEqual(await lab.cached(), []);
  });

  it("keeps the namespace of a pod that another connected, once it is asked to", async () => {
    await using lab = await chained();
    lab.namespaces.failure = new Error("an earlier version kept none");
    await (await lab.network()).attach(pod(), {});
    assert.deepEqual(await lab.kept(), []);
    lab.namespaces.failure = undefined;
    assert.equal(await (await lab.network()).holdNamespace(podId, "/proc/self/ns/net"), true);
    assert.deepEqual(await lab.kept(), [podId]);
  });

  it("keeps no namespace of a pod whose attach failed, and uses it to undo that", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await lab.fails("portmap", "ADD", { code: 100, msg: "no ports today" });
    await assert.rejects(network.attach(pod(), {}), /no ports today/);
    const kept = join(lab.folder, "cache", "docker-cri-netns", podId);
    const ends = (await lab.calls()).filter(({ verb }) => verb === "DEL");
    assert.deepEqual(new Set(ends.map(({ env }) => env["CNI_NETNS"])), new Set([kept]));
    assert.deepEqual(await lab.kept(), []);
  });

  it("does not report that when it cannot keep the namespace", async () => {
    await using lab = await chained();
    lab.namespaces.failure = new Error("no right to mount");
    const network = await lab.network();
    await network.attach(pod(), {});
    await lab.calls();
    assert.equal(await network.holdNamespace(podId, "/proc/self/ns/net"), false);
    await network.detach(pod(), {});
    const calls = await lab.calls();
    assert.deepEqual(new Set(calls.map(({ env }) => env["CNI_NETNS"])), new Set(["/proc/self/ns/net"]));
  });

  it("finds a namespace that a killed process has mounted, and unmounts unneeded ones", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await network.attach(pod(), {});
    await lab.fails("bridge", "DEL", { code: 100, msg: "not now" });
    await assert.rejects(network.detach(pod(), {}), /not now/);
    assert.deepEqual(await lab.kept(), [podId]);
    const other = "f".repeat(64);
    await lab.namespaces.keep("/proc/self/ns/net", join(lab.folder, "cache", "docker-cri-netns", other));
    await lab.behaves("bridge", "DEL");
    await lab.calls();
    const again = await lab.network();
    assert.deepEqual(await lab.kept(), [podId]);
    assert.equal(await again.holdNamespace(podId, "/none"), true);
    await again.detach({ ...pod(), netnsPath: undefined }, {});
    const [call] = await lab.calls();
    assert.equal(call?.env["CNI_NETNS"], join(lab.folder, "cache", "docker-cri-netns", podId));
    assert.deepEqual(await lab.kept(), []);
  });
});
