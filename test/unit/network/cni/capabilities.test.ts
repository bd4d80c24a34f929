import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { capabilityArgs, parsePodCidrs, undeclared } from "../../../../src/network/cni/capabilities.js";
import { parsePluginConfig } from "../../../../src/network/cni/network-config.js";

const nothing = { portMappings: [], annotations: {}, dns: undefined, podCidrs: [] };

describe("capabilities", () => {
  it("of a pod that asks for nothing are an empty list of ports", () => {
    assert.deepEqual(capabilityArgs(nothing), { portMappings: [] });
  });

  it("hold the bandwidth of one direction, too", () => {
    const annotations = { "kubernetes.io/egress-bandwidth": "1k" };
    assert.deepEqual(capabilityArgs({ ...nothing, annotations })["bandwidth"], {
      egressRate: 1_000,
      egressBurst: 2_147_483_647,
    });
  });

  for (const rate of ["999", "1001T", "-1M", "10 M", "", "lots"]) {
    it(`hold no bandwidth of ${JSON.stringify(rate)}`, () => {
      const annotations = { "kubernetes.io/ingress-bandwidth": rate };
      assert.throws(() => capabilityArgs({ ...nothing, annotations }), {
        kind: "invalid-argument",
        message: /annotation kubernetes\.io\/ingress-bandwidth: .* from 1k to 1P/,
      });
    });
  }

  it("that a pod needs and no plugin declares are logged", () => {
    const portMappings = [{ hostPort: 1, containerPort: 1, protocol: "tcp" }] as const;
    const annotations = { "kubernetes.io/egress-bandwidth": "1M" };
    const args = capabilityArgs({ ...nothing, portMappings, annotations, podCidrs: ["10.0.0.0/8"] });
    const portmap = parsePluginConfig(
      '{"type":"portmap","capabilities":{"portMappings":true,"bandwidth":"true"}}',
    );
    assert.deepEqual(undeclared([portmap], args), ["bandwidth"]);
    assert.deepEqual(undeclared([], args), ["portMappings", "bandwidth"]);
    assert.deepEqual(undeclared([], capabilityArgs(nothing)), []);
  });
});

describe("pod CIDRs", () => {
  it("are separated by commas", () => {
    assert.deepEqual(parsePodCidrs(" 10.0.0.0/8 ,fd00::/64,"), ["10.0.0.0/8", "fd00::/64"]);
    assert.deepEqual(parsePodCidrs(""), []);
  });

  for (const text of [
    "10.0.0.0",
    "10.0.0.0/33",
    "10.0.0/8",
    "fd00::/129",
    "10.0.0.0/8/8",
    "a/8",
    "10.0.0.0/-1",
    "10.0.0.0/8;",
  ]) {
    it(`are not ${text}`, () => {
      assert.throws(() => parsePodCidrs(text), { kind: "invalid-argument" });
    });
  }
});
