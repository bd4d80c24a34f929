import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pino } from "pino";
import { parseConfig } from "../../src/config/index.js";
import { NodeHost } from "../../src/drivers/node/index.js";
import { CniNetwork, type PodPortMapping } from "../../src/network/index.js";
import { installPackages, run } from "./lab/index.js";
import {
  addNamespace,
  ask,
  listen,
  makePod,
  node,
  onNodeLine,
  output,
  removeAbandonedNamespaces,
  removeOwnNamespaces,
} from "./network-node.js";
import { untilEqual } from "./streams.js";

const subnets = ["10.213.77.0/24", "fd00:213:77::/64"] as const;

const conflist = (dataDir: string) => ({
  cniVersion: "1.0.0",
  name: "testnet",
  plugins: [
    {
      type: "bridge",
      bridge: "cni0",
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: {
        type: "host-local",
        dataDir,
        ranges: subnets.map((subnet) => [{ subnet }]),
        routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
      },
    },
    { type: "portmap", capabilities: { portMappings: true }, snat: true },
    { type: "bandwidth", capabilities: { bandwidth: true } },
  ],
});

describe("CNI with the real plugins", () => {
  let folder = "";
  let confDir = "";
  let store = "";
  const networks: CniNetwork[] = [];

  before(async () => {
    await installPackages("engine", "network");
    await removeAbandonedNamespaces();
    folder = await mkdtemp(join(tmpdir(), "docker-cri-network-"));
    confDir = join(folder, "conf");
    store = join(folder, "ipam", "testnet");
    await mkdir(join(folder, "bin"));
    await mkdir(confDir);
    await addNamespace(node);
    for (const plugin of ["loopback", "bridge", "host-local", "portmap", "bandwidth"]) await wrap(plugin);
  });

  after(async () => {
    await Promise.all(networks.map((network) => network.close()));
    await removeOwnNamespaces();
    if (folder !== "") await rm(folder, { recursive: true, force: true });
  });

  it("gives pods addresses of both families, ports, limits and each other, and takes all back", async () => {
    await writeConf();
    const network = await open();
    assert.deepEqual(network.status(), { ready: true, networkName: "testnet" });
    const clean = await traces();
    const server = await makePod();
    const client = await makePod();
    const portMappings: PodPortMapping[] = [
      { hostPort: 18_080, containerPort: 8080, protocol: "tcp" },
      { hostPort: 18_053, containerPort: 5353, protocol: "udp", hostIp: "10.213.77.1" },
    ];
    const annotations = {
      "kubernetes.io/ingress-bandwidth": "8M",
      "kubernetes.io/egress-bandwidth": "16M",
    };
    const { ips = [] } = await network.attach({ ...server, portMappings, annotations }, {});
    assert.equal(ips.length, 2);
    assert.ok(ips[0]?.startsWith("10.213.77.") && ips[1]?.startsWith("fd00:213:77:"), ips.join());
    assert.deepEqual(network.cachedIps(server.id), ips);
    // Debian 12's portmap and bandwidth fail in CHECK on pods with other ports, and on pods without limits.
    await network.attach({ ...client, portMappings: [], annotations }, {});
    await network.check(client, {});
    // As udev does, some time after ADD, on a node whose MACAddressPolicy is persistent.
    const links = await output(node, "ip", "-o", "link", "show", "type", "veth");
    const veths = [...links.matchAll(/^\d+: (veth[^:@]+)/gm)].map(([, veth = ""]) => veth);
    const setEach = async (key: string, value: (veth: string) => string[]) => {
      for (const veth of veths) await run("ip", ["-n", node, "link", "set", veth, key, ...value(veth)]);
    };
    await setEach("address", (veth) => [`02:00:00:00:00:${veth.slice(-2)}`]);
    await network.check(client, {});
    // As systemd-networkd does with interfaces that a .network file of its own matches.
    await setEach("nomaster", () => []);
    await assert.rejects(network.check(client, {}), {
      message: /veth created for bridge cni0 was not found/,
    });
    await setEach("master", () => ["cni0"]);
    await network.check(client, {});

    assert.match(await output(server.netns, "ip", "-o", "link", "show", "dev", "lo"), /[<,]UP[,>]/);
    const shaping = await output(node, "tc", "qdisc", "show");
    assert.match(shaping, /tbf .* rate 8Mbit/);
    assert.match(shaping, /tbf .* rate 16Mbit/);
    await using _listener = await listen(server.netns, "hello");
    for (const ip of ips) assert.equal(await ask(client.netns, ip, 8080), "hello");
    assert.equal(await ask(node, "10.213.77.1", 18_080), "hello");
    assert.equal(await ask(client.netns, "10.213.77.1", 18_080), "hello");
    await run("ip", ["-n", client.netns, "route", "del", "default"]);
    await assert.rejects(network.check(client, {}), {
      kind: "failed-precondition",
      message: /CHECK in network testnet/,
    });
    await network.detach(server, {});
    await network.detach(client, {});
    await network.detach(client, {});
    await assertSame(clean);
  });

  it("maps one port on different addresses for two pods, and refuses a port in use", async () => {
    await writeConf();
    const network = await open();
    const clean = await traces();
    const addresses = ["10.213.78.1", "10.213.78.2"];
    for (const address of addresses)
      await run("ip", ["-n", node, "addr", "add", `${address}/32`, "dev", "lo"]);
    const pods = [await makePod(), await makePod()];
    const ports = (hostIp: string) => [
      { hostPort: 18_090, containerPort: 8080, protocol: "tcp", hostIp } as const,
    ];
    for (const [index, pod] of pods.entries()) {
      await network.attach({ ...pod, portMappings: ports(addresses[index] ?? ""), annotations: {} }, {});
    }
    await using _first = await listen(pods[0]!.netns, "first");
    await using _second = await listen(pods[1]!.netns, "second");
    assert.equal(await ask(node, "10.213.78.1", 18_090), "first");
    assert.equal(await ask(node, "10.213.78.2", 18_090), "second");
    const late = await makePod();
    await assert.rejects(network.attach({ ...late, portMappings: ports(""), annotations: {} }, {}), {
      kind: "conflict",
      message: /host port 18090\/tcp of 10\.213\.78\.1 is taken by the pod with sandbox/,
    });
    for (const pod of [...pods, late]) await network.detach(pod, {});
    await assertSame(clean);
  });

  it("leaves nothing behind of a hundred pods, eight at a time", async () => {
    await writeConf();
    const network = await open();
    const clean = await traces();
    const waiting = Array.from({ length: 100 }, (_, index) => index);
    const seen = new Set<string>();
    const worker = async () => {
      for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
        const pod = await makePod();
        const portMappings = [{ hostPort: 20_000 + index, containerPort: 80, protocol: "tcp" } as const];
        const annotations = index % 4 === 0 ? { "kubernetes.io/egress-bandwidth": "10M" } : {};
        const { ips = [] } = await network.attach({ ...pod, portMappings, annotations }, {});
        for (const ip of ips) seen.add(ip);
        // Some sandboxes are dead before their network is taken from them.
        if (index % 3 === 0) await run("ip", ["netns", "del", pod.netns]);
        await network.detach(pod, {});
        if (index % 3 !== 0) await run("ip", ["netns", "del", pod.netns]);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    assert.equal(seen.size, 200, "every pod had addresses of its own");
    await assertSame(clean);
  });

  it("releases the addresses that another instance assigned, without any configuration", async () => {
    await writeConf();
    const first = await open();
    const clean = await traces();
    const pod = await makePod();
    const portMappings = [{ hostPort: 18_081, containerPort: 80, protocol: "tcp" } as const];
    const { ips } = await first.attach({ ...pod, portMappings, annotations: {} }, {});
    await first.close();
    await rm(join(confDir, "10-testnet.conflist"));
    const second = await open();
    assert.equal(second.status().ready, false);
    assert.deepEqual(second.cachedIps(pod.id), ips);
    await second.detach(pod, {});
    await assertSame(clean);
  });

  it("undoes an attach whose last plugin fails", async () => {
    await writeConf();
    const network = await open();
    const clean = await traces();
    const pod = await makePod();
    const failing = `if [ $CNI_COMMAND = ADD ]; then echo '{"code":11,"msg":"no room"}'; exit 1; fi`;
    await writeScript("bandwidth", `${failing}\n${onNodeLine("bandwidth")}`);
    try {
      await assert.rejects(network.attach({ ...pod, portMappings: [], annotations: {} }, {}), {
        message: /CNI plugin bandwidth, ADD in network testnet failed with code 11: no room/,
      });
    } finally {
      await wrap("bandwidth");
    }
    await assertSame(clean);
    await network.attach({ ...pod, portMappings: [], annotations: {} }, {});
    await network.detach(pod, {});
    await assertSame(clean);
  });

  it("collects the garbage of pods that are unknown", async () => {
    await writeConf();
    const first = await open();
    const clean = await traces();
    const [kept, lost] = [await makePod(), await makePod()];
    const annotations = { "kubernetes.io/egress-bandwidth": "10M" };
    for (const pod of [kept, lost]) await first.attach({ ...pod, portMappings: [], annotations }, {});
    await run("ip", ["netns", "del", lost.netns]);
    const second = await open();
    await second.gc([kept.id], {});
    assert.equal((await traces()).addresses.length, 2);
    await second.check(kept, {});
    await second.detach(kept, {});
    await assertSame(clean);
  });

  async function open(): Promise<CniNetwork> {
    const { network: config } = parseConfig({
      network: { cniConfDir: confDir, cniBinDirs: [join(folder, "bin")], cniCacheDir: join(folder, "cache") },
    });
    const network = new CniNetwork(new NodeHost(), config, pino({ level: "silent" }));
    networks.push(network);
    await network.start();
    return network;
  }

  async function writeConf(): Promise<void> {
    const conf = conflist(join(folder, "ipam"));
    await writeFile(join(confDir, "10-testnet.conflist"), JSON.stringify(conf));
  }

  /** Puts a plugin in the plugin folder that runs in the namespace that stands for the node. */
  async function wrap(plugin: string): Promise<void> {
    await writeScript(plugin, onNodeLine(plugin));
  }

  async function writeScript(plugin: string, line: string): Promise<void> {
    const path = join(folder, "bin", plugin);
    await writeFile(path, `#!/bin/sh\n${line}\n`);
    await chmod(path, 0o755);
  }

  /** The kernel takes back a namespace's links some time after its last process or name is gone. */
  async function assertSame(clean: Awaited<ReturnType<typeof traces>>): Promise<void> {
    await untilEqual(traces, clean, 30_000);
  }

  /** What pods leave on the node while they are connected. */
  async function traces() {
    const links = await output(node, "ip", "-o", "link", "show");
    const rules = [await output(node, "iptables-save"), await output(node, "ip6tables-save")].join("\n");
    const names = await readdir(store).catch(() => []);
    const records = await readdir(join(folder, "cache", "results"));
    return {
      records,
      addresses: names.filter((name) => !/^lock$|^last_reserved_ip/.test(name)),
      links: [...links.matchAll(/^\d+: ([^:@]+)/gm)]
        .map(([, name]) => name)
        .filter((name) => name !== "cni0"),
      // The chains of one pod: portmap's, and the bridge's for masquerading. Those that pods share stay.
      rules: rules.split("\n").filter((line) => /CNI-DN-|CNI-[0-9a-f]{24}/.test(line)),
    };
  }
});
