import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  loadServeConfig,
  parseServeConfig,
  serveFlags,
  type Environment,
  type ServeConfig,
} from "../../../src/config/index.js";

interface Loaded {
  readonly config: ServeConfig;
  readonly notes: string[];
}

/** What serve makes of flags, given as `--name`: value. */
function load(
  flags: Record<string, string | true>,
  environment: Environment = {},
  file?: string,
): Promise<Loaded> {
  const values = new Map(
    Object.entries(flags).map(([name, value]) => {
      const flag = serveFlags.find((one) => one.names.split(", ").includes(name));
      assert.ok(flag, name);
      return [flag, value] as const;
    }),
  );
  return loadServeConfig({ values, file }, environment);
}

/** Nothing but what is expected differs from the defaults. */
function assertConfig(config: ServeConfig, expected: unknown): void {
  assert.deepEqual(config, parseServeConfig(expected, "expected"));
}

describe("serve's flags", () => {
  it("are every flag that cri-dockerd's users may have in a unit file", () => {
    const names = serveFlags.filter((flag) => flag.criDockerd).flatMap((flag) => flag.names.split(", "));
    assert.deepEqual(names.sort(), [
      "--cni-bin-dir",
      "--cni-cache-dir",
      "--cni-conf-dir",
      "--container-runtime-endpoint",
      "--cri-dockerd-root-directory",
      "--docker-endpoint",
      "--hairpin-mode",
      "--image-pull-progress-deadline",
      "--ipv6-dual-stack",
      "--log-level",
      "--network-plugin",
      "--network-plugin-mtu",
      "--pod-cidr",
      "--pod-infra-container-image",
      "--root-directory",
      "--runtime-cgroups",
      "--runtime-request-timeout",
      "--streaming-bind-addr",
    ]);
  });

  for (const [flags, expected] of [
    [{ "--engine": "memory" }, { engine: { kind: "memory" } }],
    [
      { "--docker-endpoint": "tcp://10.0.0.1:2375" },
      { engine: { kind: "docker", endpoint: "tcp://10.0.0.1:2375" } },
    ],
    [{ "--cri-dockerd-root-directory": "/data" }, { rootDirectory: "/data" }],
    [{ "--root-directory": "/data" }, { rootDirectory: "/data" }],
    [{ "--pod-infra-container-image": "pause:3.9" }, { sandboxImage: "pause:3.9" }],
    [{ "--image-pull-progress-deadline": "5m0s" }, { imagePullProgressDeadlineMs: 300_000 }],
    [{ "--runtime-request-timeout": "15m0s" }, { runtimeRequestTimeoutMs: 900_000 }],
    [{ "--runtime-request-timeout": "0s" }, { runtimeRequestTimeoutMs: 120_000 }],
    [{ "--restrict-oom-score-adj": true }, { restrictOomScoreAdj: true }],
    [{ "--restrict-oom-score-adj": "false" }, { restrictOomScoreAdj: false }],
    [{ "--missing-host-path": "refuse" }, { missingHostPath: "refuse" }],
    [{ "--streaming-bind-addr": "" }, { streaming: { address: "127.0.0.1:0" } }],
    [{ "--streaming-bind-addr": "127.0.0.2" }, { streaming: { address: "127.0.0.2:0" } }],
    [{ "--streaming-bind-addr": "::1" }, { streaming: { address: "[::1]:0" } }],
    [{ "--streaming-bind-addr": "127.0.0.1:10350" }, { streaming: { address: "127.0.0.1:10350" } }],
    [{ "--log-level": "panic" }, { logLevel: "fatal" }],
    [{ "--log-level": "Warning" }, { logLevel: "warn" }],
    [{ "--log-level": "TRACE" }, { logLevel: "trace" }],
  ] as const) {
    it(`${JSON.stringify(flags)} gives ${JSON.stringify(expected)}`, async () => {
      const { config, notes } = await load(flags);
      assertConfig(config, expected);
      assert.deepEqual(notes, []);
    });
  }

  for (const [flags, expected] of [
    [{ "--network-plugin": "" }, { plugin: "none" }],
    [{ "--network-plugin": "no-op" }, { plugin: "none" }],
    [{ "--network-plugin": "cni" }, { plugin: "cni" }],
    [{ "--cni-bin-dir": "/a,,/b," }, { cniBinDirs: ["/a", "/b"] }],
    [
      { "--cni-conf-dir": "/c", "--cni-cache-dir": "/d" },
      { cniConfDir: "/c", cniCacheDir: "/d" },
    ],
    [{ "--pod-cidr": "10.1.0.0/24,fd00::/64" }, { podCidr: "10.1.0.0/24,fd00::/64" }],
  ] as const) {
    it(`${JSON.stringify(flags)} gives the network ${JSON.stringify(expected)}`, async () => {
      assertConfig((await load(flags)).config, { network: expected });
    });
  }

  for (const [flags, note] of [
    [{ "--ipv6-dual-stack": true }, /^--ipv6-dual-stack: has no effect: all of a pod's addresses/],
    [{ "--ipv6-dual-stack": "false" }, /^--ipv6-dual-stack: has no effect/],
    [{ "--network-plugin-mtu": "1400" }, /^--network-plugin-mtu: has no effect: set "mtu"/],
    [{ "--hairpin-mode": "hairpin-veth" }, /^--hairpin-mode: has no effect: set "hairpinMode"/],
    [{ "--runtime-cgroups": "/docker" }, /^--runtime-cgroups: has no effect: .*Slice=/],
    [{ "--streaming-bind-addr": "10.0.0.7" }, /^--streaming-bind-addr: anyone who can reach 10\.0\.0\.7/],
  ] as const) {
    it(`${JSON.stringify(flags)} is accepted with a note to the operator`, async () => {
      const { notes } = await load(flags);
      assert.equal(notes.length, 1);
      assert.match(notes[0] ?? "", note);
    });
  }

  it("take a certificate for streaming, and its key from the same file or another", async () => {
    const certFile = "/etc/tls/cert.pem";
    const flags = { "--streaming-tls-cert-file": certFile };
    assertConfig((await load(flags)).config, { streaming: { tls: { certFile } } });
    const keyFile = "/etc/tls/key.pem";
    const both = await load({ ...flags, "--streaming-tls-key-file": keyFile });
    assertConfig(both.config, { streaming: { tls: { certFile, keyFile } } });
    await assert.rejects(load({ "--streaming-tls-key-file": keyFile }), /needs --streaming-tls-cert-file/);
  });

  it("have the defaults that their help shows", async () => {
    const told = serveFlags.filter(
      (flag) =>
        !["none", "the process's group", "set by the kubelet", "the certificate file"].includes(flag.default),
    );
    const values = new Map(told.map((flag) => [flag, flag.default] as const));
    const { config } = await loadServeConfig({ values }, {});
    assert.ok(told.length > 15);
    assertConfig(config, {});
  });

  it("reports nothing about values that change nothing in cri-dockerd either", async () => {
    const { notes } = await load({
      "--network-plugin-mtu": "0",
      "--hairpin-mode": "none",
      "--runtime-cgroups": "",
    });
    assert.deepEqual(notes, []);
  });

  for (const [flags, message] of [
    [{ "--engine": "podman" }, /^--engine: "podman" must be one of docker, memory$/],
    [
      { "--engine": "memory", "--docker-endpoint": "unix:///x" },
      /^--docker-endpoint: the in-memory engine has no/,
    ],
    [{ "--docker-endpoint": "/var/run/docker.sock" }, /^--docker-endpoint: engine\.endpoint: must be unix:/],
    [
      { "--container-runtime-endpoint": "npipe:////./pipe/x" },
      /^--container-runtime-endpoint: listen\.endpoint: /,
    ],
    [{ "--root-directory": "data" }, /^--root-directory: rootDirectory: must be an absolute path$/],
    [{ "--pod-infra-container-image": "" }, /^--pod-infra-container-image: sandboxImage: /],
    [{ "--image-pull-progress-deadline": "60" }, /^--image-pull-progress-deadline: "60" is not a duration/],
    [{ "--image-pull-progress-deadline": "0" }, /^--image-pull-progress-deadline: must be longer than 0/],
    [{ "--restrict-oom-score-adj": "maybe" }, /^--restrict-oom-score-adj: "maybe" must be true or false$/],
    [{ "--network-plugin": "kubenet" }, /^--network-plugin: kubenet is not supported: put a configuration/],
    [{ "--network-plugin": "calico" }, /^--network-plugin: "calico" must be one of cni, none$/],
    [{ "--network-plugin-mtu": "-1" }, /^--network-plugin-mtu: "-1" is not a number/],
    [{ "--hairpin-mode": "on" }, /^--hairpin-mode: "on" must be one of/],
    [{ "--cni-bin-dir": "," }, /^--cni-bin-dir: name at least one directory$/],
    [{ "--pod-cidr": "10.0.0.0" }, /^--pod-cidr: network\.podCidr: must be subnets/],
    [{ "--streaming-bind-addr": "0.0.0.0:1" }, /^--streaming-bind-addr: .* every interface/],
    [{ "--streaming-bind-addr": ":10350" }, /^--streaming-bind-addr: .* every interface/],
    [{ "--streaming-bind-addr": "::" }, /^--streaming-bind-addr: .* every interface/],
    [{ "--streaming-bind-addr": "a b" }, /^--streaming-bind-addr: "a b" is not an address/],
    [{ "--log-level": "loud" }, /^--log-level: "loud" must be one of/],
    [{ "--socket-mode": "rw" }, /^--socket-mode: listen\.socketMode: must be octal digits/],
  ] as const) {
    it(`${JSON.stringify(flags)} is refused by its name`, async () => {
      await assert.rejects(load(flags), { kind: "invalid-argument", message });
    });
  }
});

describe("Docker's environment", () => {
  const host = { DOCKER_HOST: "unix:///other.sock" };

  it("is looked at when --docker-endpoint is empty, and only then", async () => {
    assertConfig((await load({ "--docker-endpoint": "" }, host)).config, {
      engine: { kind: "docker", endpoint: "unix:///other.sock" },
    });
    assertConfig((await load({}, host)).config, {
      engine: { kind: "docker", endpoint: "unix:///var/run/docker.sock" },
    });
  });

  it("may be empty too", async () => {
    assertConfig((await load({ "--docker-endpoint": "" })).config, {
      engine: { kind: "docker", endpoint: "unix:///var/run/docker.sock" },
    });
  });

  it("refuses TLS and unsupported transports", async () => {
    const tls = { DOCKER_HOST: "tcp://10.0.0.1:2376", DOCKER_TLS_VERIFY: "1" };
    await assert.rejects(load({ "--docker-endpoint": "" }, tls), { message: /DOCKER_TLS_VERIFY is set/ });
    await assert.rejects(load({ "--docker-endpoint": "" }, { DOCKER_HOST: "ssh://me@node" }), {
      message: /^--docker-endpoint: engine\.endpoint: must be unix:/,
    });
  });

  it("does not fix the API version", async () => {
    const { notes } = await load({ "--docker-endpoint": "" }, { ...host, DOCKER_API_VERSION: "1.41" });
    assert.match(notes.join(), /DOCKER_API_VERSION has no effect/);
  });
});

describe("a configuration file", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "docker-cri-flags-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function file(content: string): Promise<string> {
    const path = join(folder, "config.yaml");
    await writeFile(path, content);
    return path;
  }

  it("is laid under the flags, key by key", async () => {
    const path = await file("network: { plugin: none, cniConfDir: /conf }\nengine: { kind: memory }\n");
    const { config } = await load({ "--network-plugin": "cni" }, {}, path);
    assertConfig(config, {
      engine: { kind: "memory" },
      network: { plugin: "cni", cniConfDir: "/conf" },
    });
  });

  it("gives way to another engine with all that belongs to its own", async () => {
    const path = await file("engine: { kind: docker, endpoint: 'unix:///x.sock' }\n");
    assert.equal((await load({ "--engine": "memory" }, {}, path)).config.engine.kind, "memory");
    assert.deepEqual((await load({ "--engine": "docker" }, {}, path)).config.engine, {
      kind: "docker",
      endpoint: "unix:///x.sock",
    });
  });

  it("is refused as a whole when one key is wrong, flag or no flag", async () => {
    const path = await file("network: { plugin: kubenet }\n");
    await assert.rejects(load({ "--network-plugin": "cni" }, {}, path), {
      message: /config\.yaml: network\.plugin/,
    });
  });
});
