import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chooseVersion, versionInUse } from "../../../../src/network/cni/versions.js";

const bridge = { type: "bridge", versions: ["0.3.1", "0.4.0", "1.0.0"] };
const old = { type: "old", versions: ["0.1.0", "0.2.0"] };
const other = { type: "other", versions: ["1.1.0"] };

describe("choosing a version", () => {
  for (const [declared, plugins, expected] of [
    [["1.0.0"], [bridge], "1.0.0"],
    [["1.1.0", "0.4.0", "0.3.1"], [bridge], "0.4.0"],
    [["0.3.1", "1.0.0"], [bridge], "1.0.0"],
    [["1.0.0", "1.0.0"], [bridge], "1.0.0"],
    [["1.2.0", "1.1.0"], [other], "1.1.0"],
    [["1.1.0"], [], "1.1.0"],
  ] as const) {
    it(`takes ${expected} of ${declared.join()}`, () => {
      assert.equal(chooseVersion(declared, plugins), expected);
    });
  }

  for (const [declared, plugins, message] of [
    [[], [bridge], /no cniVersion/],
    [["0.2.0"], [old], /its cniVersion is 0\.2\.0: this runner speaks/],
    [["1.2.0"], [bridge], /its cniVersion is 1\.2\.0/],
    [["nonsense"], [bridge], /its cniVersion is nonsense/],
    [["1.0.0"], [bridge, old], /asks for cniVersion 1\.0\.0, .* old \(0\.1\.0, 0\.2\.0\)/],
    [["1.0.0", "1.1.0"], [bridge, other], /its plugins among themselves/],
    [["1.0.0"], [{ type: "mute", versions: [] }], /mute \(none\)/],
  ] as const) {
    it(`refuses ${declared.join() || "nothing"} for ${plugins.map(({ type }) => type).join()}`, () => {
      assert.throws(() => chooseVersion(declared, plugins), { kind: "failed-precondition", message });
    });
  }
});

describe("the version in use", () => {
  it("is the result's where the configuration has it, else its newest, else the oldest of all", () => {
    assert.equal(versionInUse(["0.4.0", "1.1.0"], "0.4.0"), "0.4.0");
    assert.equal(versionInUse(["0.4.0", "1.1.0"], "1.0.0"), "1.1.0");
    assert.equal(versionInUse(["0.2.0"], undefined), "0.2.0");
    assert.equal(versionInUse(["9.9.9"], { toString: 1 }), "0.1.0");
  });
});
