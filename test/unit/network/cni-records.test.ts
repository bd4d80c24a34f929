import assert from "node:assert/strict";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { NodeHost } from "../../../src/drivers/node/index.js";
import { FailingFiles, chain, chained, pod, PluginLab, podId, resultWith, until } from "./plugin-lab.js";

describe("the file of a connection", () => {
  it("is of libcni's form, and private", async () => {
    await using lab = await chained({ cniVersions: ["0.4.0", "1.1.0"] });
    const network = await lab.network();
    await network.attach(pod(), {});
    assert.deepEqual(await lab.cached(), [`cni-loopback-${podId}-lo`, `podnet-${podId}-eth0`]);
    const path = join(lab.results, `podnet-${podId}-eth0`);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await stat(lab.results)).mode & 0o777, 0o700);
    const { config, ...entry } = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
    assert.deepEqual(JSON.parse(Buffer.from(String(config), "base64").toString()), {
      ...chain,
      cniVersion: "1.1.0",
    });
    assert.deepEqual(entry, {
      kind: "cniCacheV1",
      containerId: podId,
      ifName: "eth0",
      networkName: "podnet",
      netns: "/proc/self/ns/net",
      cniArgs: [
        ["IgnoreUnknown", "1"],
        ["K8S_POD_NAMESPACE", "shop"],
        ["K8S_POD_NAME", "web-0"],
        ["K8S_POD_INFRA_CONTAINER_ID", podId],
        ["K8S_POD_UID", "6d1e2f0a-9b1b-4c68-8f0e-0d4f0a7f3c11"],
      ],
      capabilityArgs: { portMappings: [] },
      result: { ...resultWith("10.1.0.5/16", "fd00::5/64"), cniVersion: "1.1.0" },
    });
  });

  it("is enough to undo an attach whose process was killed, with any configuration or none", async () => {
    await using lab = await chained();
    const network = await lab.network();
    const record = join(lab.results, `podnet-${podId}-eth0`);
    const stamped = join(lab.folder, "record");
    await lab.does("bridge", "ADD", `cp '${record}' '${stamped}'; exit 1`);
    const portMappings = [{ hostPort: 80, containerPort: 8080, protocol: "tcp" }] as const;
    await assert.rejects(network.attach(pod({ portMappings }), {}));
    // As a kill -9 in the middle of the first plugin leaves the folder.
    await rename(stamped, record);
    await lab.noConf();
    await lab.calls();
    const again = await lab.network();
    assert.equal(again.cachedIps(podId), undefined);
    await again.detach(pod(), {});
    const [portmap, bridge, ...more] = await lab.calls();
    assert.deepEqual(more, []);
    assert.deepEqual(portmap?.request, {
      type: "portmap",
      snat: true,
      cniVersion: "1.0.0",
      name: "podnet",
      runtimeConfig: { portMappings: [{ hostPort: 80, containerPort: 8080, protocol: "tcp", hostIP: "" }] },
    });
    assert.equal(bridge?.verb, "DEL");
    assert.deepEqual(await lab.cached(), []);
  });

  it("has the plugin killed that a killed process left running, before anything is undone", async () => {
    await using lab = await chained();
    const first = await lab.network();
    const done = join(lab.folder, "done");
    await lab.does("bridge", "ADD", `echo $$ >'${done}.began'; sleep 60; touch '${done}'; exit 1`);
    const attach = first.attach(pod(), {});
    attach.catch(() => undefined);
    const began = () => readFile(`${done}.began`, "utf8").catch(() => "");
    await until(async () => (await began()).endsWith("\n"));
    await lab.network();
    await assert.rejects(attach, /bridge/);
    assert.equal(await new NodeHost().processes.isAlive(Number(await began())), false);
    await assert.rejects(stat(done), { code: "ENOENT" });
  });

  it("may be cri-dockerd's, with its loopback under the pod's interface", async () => {
    await using lab = await PluginLab.open();
    for (const type of ["bridge", "portmap"]) await lab.plugin(type);
    await lab.network();
    const entry = (networkName: string, config: unknown, more: object = {}) =>
      writeFile(
        join(lab.results, `${networkName}-${podId}-eth0`),
        JSON.stringify({
          kind: "cniCacheV1",
          containerId: podId,
          config: Buffer.from(JSON.stringify(config)).toString("base64"),
          ifName: "eth0",
          networkName,
          netns: "/proc/4242/ns/net",
          cniArgs: [
            ["IgnoreUnknown", "1"],
            ["K8S_POD_NAME", "old"],
          ],
          ...more,
        }),
      );
    const loopback = { cniVersion: "0.2.0", name: "cni-loopback", plugins: [{ type: "loopback" }] };
    await entry("cni-loopback", loopback, { result: { cniVersion: "0.2.0", dns: {} } });
    await entry(
      "podnet",
      { ...chain, cniVersion: "0.4.0" },
      {
        capabilityArgs: { portMappings: [{ hostPort: 80, containerPort: 80, protocol: "tcp", hostIP: "" }] },
        result: { cniVersion: "0.4.0", ips: [{ version: "4", address: "10.1.0.9/16" }], dns: {} },
      },
    );
    const network = await lab.network();
    assert.deepEqual(network.cachedIps(podId), ["10.1.0.9"]);
    await network.detach(pod(), {});
    const [portmap, bridge, lo] = await lab.calls();
    assert.deepEqual(
      [portmap, bridge, lo].map((call) => [call?.type, call?.request["cniVersion"], call?.env["CNI_IFNAME"]]),
      [
        ["portmap", "0.4.0", "eth0"],
        ["bridge", "0.4.0", "eth0"],
        ["loopback", "0.2.0", "eth0"],
      ],
    );
    assert.equal(portmap?.env["CNI_ARGS"], "IgnoreUnknown=1;K8S_POD_NAME=old");
    assert.equal(portmap.env["CNI_NETNS"], "/proc/self/ns/net", "the path on record may be somebody else's");
    assert.deepEqual(portmap.request["prevResult"], {
      cniVersion: "0.4.0",
      ips: [{ version: "4", address: "10.1.0.9/16" }],
      dns: {},
    });
    assert.deepEqual(await lab.cached(), []);
  });

  it("may be torn, of another kind, or hostile: the pod is detached by the present network", async () => {
    const good = {
      containerId: podId,
      ifName: "eth0",
      networkName: "podnet",
      kind: "cniCacheV1",
      config: "e30=",
    };
    for (const content of [
      "",
      '{"kind":"cniCacheV1","cont',
      "[]",
      "null",
      JSON.stringify({ ...good, kind: "cniCacheV2" }),
      JSON.stringify({ ...good, containerId: "another" }),
      JSON.stringify({ ...good, config: 7 }),
      JSON.stringify(good),
      JSON.stringify({
        ...good,
        config: Buffer.from('{"name":"podnet","plugins":[{"type":"../x"}]}').toString("base64"),
      }),
      "\0".repeat(10_000),
    ]) {
      await using lab = await chained();
      await lab.network();
      await writeFile(join(lab.results, `podnet-${podId}-eth0`), content);
      await writeFile(join(lab.results, `cni-loopback-${podId}-lo`), "torn");
      await writeFile(join(lab.results, ".podnet-x-eth0.0123.tmp"), "half");
      const network = await lab.network();
      assert.equal(network.cachedIps(podId), undefined);
      await network.detach(pod(), {});
      assert.deepEqual(await lab.verbs(), ["DEL portmap", "DEL bridge"], content);
      assert.deepEqual(await lab.cached(), [], content);
    }
  });

  it("is not taken for torn, and removed, when too many files are open", async () => {
    await using lab = await chained();
    const files = new FailingFiles();
    const network = await lab.network({ files });
    await network.attach(pod(), {});
    await lab.calls();
    files.fault = { code: "EMFILE", path: /results\/podnet-/ };
    await assert.rejects(network.detach(pod(), {}), { kind: "resource-exhausted", message: /EMFILE/ });
    files.fault = undefined;
    assert.equal((await lab.cached()).length, 2);
    await network.detach(pod(), {});
    assert.deepEqual(await lab.verbs(), ["DEL portmap", "DEL bridge", "DEL loopback"]);
    assert.deepEqual(await lab.cached(), []);
  });

  it("of another container or interface is not touched", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await network.attach(pod({ id: "abc" }), {});
    const others = [`podnet-${podId}-net1`, `podnet-x-abc-eth0`];
    for (const name of others) {
      const containerId = name.includes("abc") ? "x-abc" : podId;
      const ifName = name.split("-").at(-1);
      const entry = { kind: "cniCacheV1", containerId, ifName, networkName: "podnet", config: "e30=" };
      await writeFile(join(lab.results, name), JSON.stringify(entry));
    }
    await network.detach(pod({ id: "abc" }), {});
    assert.deepEqual(await lab.cached(), others.sort());
  });
});
