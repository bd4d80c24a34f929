import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatBindAddress, isSubnet, isWildcard, parseBindAddress } from "../../../src/config/index.js";

describe("parseBindAddress", () => {
  for (const [text, address] of [
    ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }],
    ["localhost:10350", { host: "localhost", port: 10_350 }],
    ["[::1]:65535", { host: "::1", port: 65_535 }],
  ] as const) {
    it(`reads ${text} and writes it again`, () => {
      assert.deepEqual(parseBindAddress(text), address);
      assert.equal(formatBindAddress(address), text);
    });
  }

  for (const text of [
    "",
    "127.0.0.1",
    "::1",
    "[::1]",
    "[fe80]:1",
    "a:65536",
    "a b:1",
    "a:-1",
    "http://a:1",
    "a:1\n",
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.equal(parseBindAddress(text), undefined);
    });
  }
});

describe("isWildcard", () => {
  it("knows the addresses that stand for every interface", () => {
    for (const host of ["0.0.0.0", "0", "::", "0:0:0:0:0:0:0:0", "::ffff:0.0.0.0"])
      assert.ok(isWildcard(host), host);
    for (const host of ["127.0.0.1", "::1", "10.0.0.0", "node", ""]) assert.ok(!isWildcard(host), host);
  });
});

describe("isSubnet", () => {
  it("accepts only subnets of both families", () => {
    for (const text of ["10.1.0.0/24", "0.0.0.0/0", "fd00:1::/64", "::/128"]) assert.ok(isSubnet(text), text);
    for (const text of ["", "10.1.0.0", "10.1.0.0/33", "fd00::/129", "10.1/16", "/24", "10.1.0.0/x"])
      assert.ok(!isSubnet(text), text);
  });
});
