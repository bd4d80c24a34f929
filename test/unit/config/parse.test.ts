import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseConfig, parseServeConfig } from "../../../src/config/index.js";

describe("parseConfig", () => {
  it("fills in every default", () => {
    const config = parseConfig({});
    assert.deepEqual(config.engine, { kind: "docker", endpoint: "unix:///var/run/docker.sock" });
    assert.equal(config.rootDirectory, "/var/lib/cri-dockerd");
    assert.equal(config.network.plugin, "cni");
    assert.equal(config.logs.mode, "cri");
    assert.equal(config.streaming.address, "127.0.0.1:0");
  });

  it("takes an engine without a kind for Docker", () => {
    const endpoint = "tcp://127.0.0.1:2375";
    assert.deepEqual(parseServeConfig({ engine: { endpoint } }, "here").engine, { kind: "docker", endpoint });
  });

  it("accepts a sandbox image by its id", () => {
    const sandboxImage = `sha256:${"a1".repeat(32)}`;
    assert.equal(parseConfig({ sandboxImage }).sandboxImage, sandboxImage);
  });

  it("expects no CNI plugins with the memory engine", () => {
    assert.equal(parseConfig({ engine: { kind: "memory" } }).network.plugin, "none");
    assert.equal(
      parseConfig({ engine: { kind: "memory" }, network: { cniConfDir: "/c" } }).network.plugin,
      "none",
    );
    assert.equal(
      parseConfig({ engine: { kind: "memory" }, network: { plugin: "cni" } }).network.plugin,
      "cni",
    );
  });

  for (const [input, message] of [
    [{ engine: { kind: "memory" }, network: 5 }, /^here: network: /],
    [{ sandboxImage: "" }, /^here: sandboxImage: "" is not a valid image name/],
    [{ sandboxImage: "Pause:3" }, /^here: sandboxImage: "Pause:3" is not a valid image name/],
    [
      { engine: { kind: "memory", images: ["a b"] } },
      /^here: engine\.images\.0: "a b" is not a valid image name/,
    ],
    [{ sandboxImages: "x" }, /^here: sandboxImages: unknown key$/],
    [{ network: { mtu: 1, dns: 2 } }, /^here: network\.mtu: unknown key; network\.dns: unknown key$/],
    [{ network: { cniBinDirs: ["/a", "b"] } }, /^here: network\.cniBinDirs\.1: must be an absolute path$/],
    [{ network: { podCidr: "10.0.0.0/8,x" } }, /^here: network\.podCidr: must be subnets/],
    [{ engine: { kind: "memory", endpoint: "unix:///x" } }, /^here: engine\.endpoint: unknown key$/],
    [{ engine: { kind: "podman" } }, /^here: engine\.kind: must be docker or memory$/],
    [{ engine: "docker" }, /^here: engine: .*expected object/],
    [{ network: null, logs: { mode: null } }, /^here: network: has no value: .*; logs\.mode: /],
    [{ engine: { kind: "docker", endpoint: "ssh://a" } }, /^here: engine\.endpoint: must be unix:/],
    [{ streaming: { address: "0.0.0.0:0" } }, /^here: streaming\.address: must be one address/],
    [{ streaming: { address: "localhost" } }, /^here: streaming\.address: must be host:port/],
    [{ runtimeRequestTimeoutMs: 0 }, /^here: runtimeRequestTimeoutMs: /],
    [{ streaming: { creationTimeoutMs: 2 ** 31 } }, /^here: streaming\.creationTimeoutMs: must be at most/],
    [JSON.parse('{"__proto__": {"logLevel": "debug"}}'), /^here: __proto__: unknown key$/],
    [[], /^here: /],
    [null, /^here: /],
  ] as const) {
    it(`refuses ${JSON.stringify(input)}`, () => {
      assert.throws(() => parseConfig(input as never, "here"), { kind: "invalid-argument", message });
    });
  }
});

describe("parseServeConfig", () => {
  it("adds where the server listens", () => {
    const { listen } = parseServeConfig({}, "here");
    assert.deepEqual(listen, {
      endpoint: "unix:///run/docker-cri.sock",
      socketMode: "0660",
      allowInsecureRemote: false,
    });
  });

  for (const [listen, message] of [
    [{ endpoint: "/run/x.sock" }, /^here: listen\.endpoint: must be unix:\/\/\/path, fd:\/\//],
    [{ endpoint: "fd://name" }, /^here: listen\.endpoint: /],
    [{ endpoint: "unix://run/x.sock" }, /^here: listen\.endpoint: /],
    [{ socketMode: 660 }, /^here: listen\.socketMode: must be a string of octal digits/],
    [{ socketMode: "0999" }, /^here: listen\.socketMode: must be octal digits/],
    [{ endpoint: "unix:///a", imageEndpoint: "unix:///a" }, /^here: listen\.imageEndpoint equals/],
    [{ tls: { certFile: "/a", keyFile: "/b" } }, /^here: listen\.tls\.clientCaFile: missing$/],
    [{ tls: { certFile: "/a", keyFile: "/b", clientCaFile: "/c" } }, /^here: listen\.tls needs a tcp:\/\//],
    [{ endpoint: "tcp://127.0.0.1:1", socketGroup: "x" }, /^here: listen\.socketGroup needs a unix:\/\//],
    [{ endpoint: "fd://", socketGroup: "x" }, /SocketGroup= in the systemd socket unit/],
  ] as const) {
    it(`refuses ${JSON.stringify(listen)}`, () => {
      assert.throws(() => parseServeConfig({ listen }, "here"), { kind: "invalid-argument", message });
    });
  }
});
