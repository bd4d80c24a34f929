import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { chain, chained, pod, podId, resultWith, until } from "./plugin-lab.js";

describe("attaching a pod", () => {
  it("runs loopback and the chain, each plugin with the result of the one before", async () => {
    await using lab = await chained();
    const network = await lab.network();
    const { ips, result } = await network.attach(pod(), {});
    assert.deepEqual(ips, ["10.1.0.5", "fd00::5"]);
    const [loopback, bridge, portmap, ...more] = await lab.calls();
    assert.deepEqual(more, []);
    assert.deepEqual(loopback?.request, { type: "loopback", cniVersion: "1.1.0", name: "cni-loopback" });
    assert.equal(loopback.env["CNI_IFNAME"], "lo");
    assert.deepEqual(bridge?.request, { ...chain.plugins[0], cniVersion: "1.0.0", name: "podnet" });
    assert.deepEqual(portmap?.request, {
      type: "portmap",
      snat: true,
      cniVersion: "1.0.0",
      name: "podnet",
      runtimeConfig: { portMappings: [] },
      prevResult: resultWith("10.1.0.5/16"),
    });
    assert.deepEqual(result, resultWith("10.1.0.5/16", "fd00::5/64"));
    assert.deepEqual(network.cachedIps(podId), ips);
  });

  it("gives plugins their parameters in the environment, and a PATH, a mark of the run, and nothing else", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await network.attach(pod(), {});
    const call = (await lab.calls())[1];
    const { PWD: _pwd, DOCKER_CRI_RUN: run, ...env } = call?.env ?? {};
    assert.match(run ?? "", /^[0-9a-f-]{36}$/);
    const cniPath = `${lab.folder}/none:${lab.folder}/bin`;
    assert.deepEqual(env, {
      CNI_COMMAND: "ADD",
      CNI_CONTAINERID: podId,
      CNI_NETNS: "/proc/self/ns/net",
      CNI_IFNAME: "eth0",
      CNI_ARGS:
        `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=${podId};` +
        "K8S_POD_UID=6d1e2f0a-9b1b-4c68-8f0e-0d4f0a7f3c11",
      CNI_PATH: cniPath,
      PATH: `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${cniPath}`,
    });
  });

  it("passes capabilities to the plugins that declare them", async () => {
    const capabilities = ["portMappings", "bandwidth", "ipRanges", "dns", "aliases"];
    await using lab = await chained({
      plugins: [
        { type: "bridge" },
        { type: "portmap", capabilities: Object.fromEntries(capabilities.map((name) => [name, true])) },
      ],
    });
    const network = await lab.network({ podCidr: "10.244.1.0/24,fd00:1::/64" });
    const dns = { servers: ["10.96.0.10"], searches: ["shop.svc"], options: ["ndots:5"] };
    const portMappings = [
      { hostPort: 8080, containerPort: 80, protocol: "tcp", hostIp: "127.0.0.1" },
      { hostPort: 0, containerPort: 81, protocol: "tcp" },
      { hostPort: 53, containerPort: 5353, protocol: "udp" },
    ] as const;
    const annotations = {
      "kubernetes.io/ingress-bandwidth": "10M",
      "kubernetes.io/egress-bandwidth": "1.5Gi",
    };
    await network.attach(pod({ dns, portMappings, annotations }), {});
    const [, bridge, portmap] = await lab.calls();
    assert.equal(bridge?.request["runtimeConfig"], undefined);
    assert.deepEqual(portmap?.request["runtimeConfig"], {
      portMappings: [
        { hostPort: 8080, containerPort: 80, protocol: "tcp", hostIP: "127.0.0.1" },
        { hostPort: 53, containerPort: 5353, protocol: "udp", hostIP: "" },
      ],
      bandwidth: {
        ingressRate: 10_000_000,
        ingressBurst: 2_147_483_647,
        egressRate: 1_610_612_736,
        egressBurst: 2_147_483_647,
      },
      ipRanges: [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd00:1::/64" }]],
      dns,
    });
    assert.equal(portmap.request["capabilities"], undefined);
  });

  it("converts results to the version of the configuration", async () => {
    await using lab = await chained({ cniVersion: "0.4.0" });
    const network = await lab.network();
    await network.attach(pod(), {});
    const [, bridge, portmap] = await lab.calls();
    assert.equal(bridge?.request["cniVersion"], "0.4.0");
    const prevResult = portmap?.request["prevResult"] as { cniVersion: string; ips: unknown };
    assert.equal(prevResult.cniVersion, "0.4.0");
    assert.deepEqual(prevResult.ips, [
      { version: "4", address: "10.1.0.5/16", gateway: "10.1.0.1", interface: 1 },
    ]);
  });

  for (const version of ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]) {
    it(`speaks ${version} from ADD to DEL`, async () => {
      await using lab = await chained({ cniVersion: version });
      const network = await lab.network();
      await network.attach(pod(), {});
      await lab.calls();
      await network.detach(pod(), {});
      const [portmap, bridge, loopback] = await lab.calls();
      assert.deepEqual(
        [portmap, bridge, loopback].map((call) => `${call?.verb} ${call?.type}`),
        ["DEL portmap", "DEL bridge", "DEL loopback"],
      );
      assert.equal(bridge?.request["cniVersion"], version);
      const hasResult = !version.startsWith("0.3");
      assert.equal(bridge.request["prevResult"] !== undefined, hasResult);
      if (hasResult) assert.deepEqual(bridge.request["prevResult"], portmap?.request["prevResult"]);
      assert.deepEqual(await lab.cached(), []);
    });
  }

  it("refuses names that would smuggle arguments, and ids that are paths", async () => {
    await using lab = await chained();
    const network = await lab.network();
    for (const overrides of [
      { name: "a;K8S_POD_NAMESPACE=kube-system" },
      { namespace: "a\nCNI_COMMAND=DEL" },
      { uid: "a=b" },
      { id: "../../../etc/passwd" },
      { id: "" },
      { id: "-rf" },
      { id: "a".repeat(200) },
      { portMappings: [{ hostPort: 70_000, containerPort: 80, protocol: "tcp" }] as const },
      { portMappings: [{ hostPort: 80, containerPort: 80, protocol: "tcp", hostIp: "nowhere" }] as const },
      { annotations: { "kubernetes.io/ingress-bandwidth": "fast" } },
    ]) {
      await assert.rejects(network.attach(pod(overrides), {}), { kind: "invalid-argument" });
    }
    assert.deepEqual(await lab.calls(), []);
    assert.deepEqual(await lab.cached(), []);
  });

  it("refuses a host port that another pod holds, also after a restart", async () => {
    await using lab = await chained();
    const network = await lab.network();
    const portMappings = [{ hostPort: 80, containerPort: 8080, protocol: "tcp" }] as const;
    await network.attach(pod({ portMappings }), {});
    await lab.calls();
    const again = await lab.network();
    const other = pod({ id: "f".repeat(64), portMappings });
    for (const each of [network, again]) {
      await assert.rejects(each.attach(other, {}), {
        kind: "conflict",
        message: new RegExp(`host port 80/tcp is taken by the pod with sandbox ${podId}`),
      });
    }
    assert.deepEqual(await lab.calls(), []);
    await again.detach(pod(), {});
    await again.attach(other, {});
    await lab.fails("bridge", "ADD", { code: 100, msg: "no" });
    const third = pod({ id: "e".repeat(64), portMappings: [{ ...portMappings[0], hostPort: 81 }] });
    await assert.rejects(again.attach(third, {}), { message: /code 100/ });
    await lab.prints("bridge", "ADD", resultWith("10.1.0.6/16"));
    await again.attach({ ...third, id: "d".repeat(64) }, {});
  });

  it("runs nothing for a pod whose namespace is gone", async () => {
    await using lab = await chained();
    const network = await lab.network();
    for (const netnsPath of ["", "/proc/4194305/ns/net"]) {
      await assert.rejects(network.attach(pod({ netnsPath }), {}), {
        kind: "failed-precondition",
        message: /namespace.* no longer exists: the sandbox has exited/,
      });
    }
    assert.deepEqual(await lab.calls(), []);
    assert.deepEqual(await lab.cached(), []);
  });

  it("undoes everything when a plugin fails, and reports the first error", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await lab.fails("portmap", "ADD", {
      cniVersion: "1.0.0",
      code: 101,
      msg: "port taken",
      details: "by nginx",
    });
    await lab.fails("portmap", "DEL", { code: 102, msg: "never seen" });
    await assert.rejects(network.attach(pod(), {}), {
      kind: "failed-precondition",
      message:
        /failed to set up pod "web-0_shop" network: CNI plugin portmap, ADD in network podnet failed with code 101: port taken; details: by nginx\. See /,
    });
    assert.deepEqual(await lab.verbs(), [
      "ADD loopback",
      "ADD bridge",
      "ADD portmap",
      "DEL portmap",
      "DEL bridge",
      "DEL loopback",
    ]);
    assert.deepEqual(
      await lab.cached(),
      [`podnet-${podId}-eth0`],
      "what could not be undone stays on record",
    );
    await lab.behaves("portmap", "DEL");
    await network.detach(pod(), {});
    assert.deepEqual(await lab.verbs(), ["DEL portmap", "DEL bridge"]);
    assert.deepEqual(await lab.cached(), []);
    assert.equal(network.cachedIps(podId), undefined);
  });

  it("does not undo twice", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await lab.fails("bridge", "ADD", { code: 11, msg: "busy" });
    await assert.rejects(network.attach(pod(), {}), { kind: "unavailable" });
    assert.deepEqual(await lab.cached(), []);
    await lab.calls();
    await network.detach(pod(), {});
    assert.deepEqual(await lab.verbs(), []);
  });

  it("refuses a network that gives no address", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await lab.prints("portmap", "ADD", { cniVersion: "1.0.0" });
    await assert.rejects(network.attach(pod(), {}), { message: /podnet gave the pod no IP address/ });
    assert.deepEqual((await lab.verbs()).slice(-3), ["DEL portmap", "DEL bridge", "DEL loopback"]);
  });

  it("cleans up an interrupted attach before it attaches again", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await network.attach(pod(), {});
    await lab.calls();
    const again = await lab.network();
    await again.attach(pod(), {});
    assert.deepEqual(await lab.verbs(), [
      "ADD loopback",
      "DEL portmap",
      "DEL bridge",
      "ADD bridge",
      "ADD portmap",
    ]);
  });

  it("is on record before the first plugin runs", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await lab.does("bridge", "ADD", `ls '${lab.results}' >'${lab.folder}/seen'; exit 1`);
    await assert.rejects(network.attach(pod(), {}));
    assert.match(await readFile(join(lab.folder, "seen"), "utf8"), new RegExp(`^podnet-${podId}-eth0$`, "m"));
  });

  it("undoes all when the caller goes in the middle", async () => {
    await using lab = await chained();
    const network = await lab.network();
    await lab.does("portmap", "ADD", `touch '${lab.folder}/reached'; sleep 60`);
    const controller = new AbortController();
    const attaching = network.attach(pod(), { signal: controller.signal });
    await until(() =>
      stat(join(lab.folder, "reached")).then(
        () => true,
        () => false,
      ),
    );
    controller.abort();
    await assert.rejects(attaching, { kind: "cancelled" });
    assert.deepEqual((await lab.verbs()).slice(3), ["DEL portmap", "DEL bridge", "DEL loopback"]);
    assert.deepEqual(await lab.cached(), []);
    await assert.rejects(network.attach(pod(), { signal: controller.signal }), { kind: "cancelled" });
    assert.deepEqual(await lab.verbs(), []);
  });

  it("undoes all when the result cannot be kept", async () => {
    await using lab = await chained();
    const network = await lab.network();
    // The cache's folder becomes a file while the last plugin runs.
    await lab.does(
      "portmap",
      "ADD",
      `rm -r '${lab.results}'; touch '${lab.results}'; cat '${lab.folder}/behaviour/portmap.ADD.json'`,
    );
    await assert.rejects(network.attach(pod(), {}), { kind: "internal", message: /ENOTDIR/ });
    assert.deepEqual((await lab.verbs()).slice(3), ["DEL portmap", "DEL bridge", "DEL loopback"]);
  });

  it("works on one pod at a time, and on many pods at once", async () => {
    await using lab = await chained();
    const network = await lab.network();
    // Each run holds a folder: of one pod, another run would find it taken.
    await lab.does(
      "bridge",
      "ADD",
      `mkdir "${lab.folder}/$CNI_CONTAINERID" || exit 1; touch "${lab.folder}/in-$CNI_CONTAINERID"; ` +
        `n=0; while [ "$(ls -d '${lab.folder}'/in-* | wc -l)" -lt 2 ] && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done; ` +
        `[ $n -lt 100 ] || exit 1; rmdir "${lab.folder}/$CNI_CONTAINERID"; cat '${lab.folder}/behaviour/bridge.ADD.json'`,
    );
    const other = "f".repeat(64);
    await Promise.all([
      network.attach(pod(), {}),
      network.attach(pod({ id: other }), {}),
      network.attach(pod(), {}),
    ]);
    assert.deepEqual(network.cachedIps(other), ["10.1.0.5", "fd00::5"]);
  });
});
