import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { addressesOf, readResult } from "../../../../src/network/cni/result.js";
import { isShimError } from "./shim-error.js";

const interfaces = [
  { name: "cni0", mtu: 1500 },
  { name: "eth0", sandbox: "/ns", mtu: 1500, socketPath: "/s", pciID: "0000:04:00.5" },
];

describe("a result", () => {
  it("of 1.x becomes one of 0.3 and 0.4", () => {
    const raw = {
      cniVersion: "1.1.0",
      interfaces,
      ips: [{ address: "10.1.0.5/16", interface: 1 }, { address: "fd00::5/64" }],
      routes: [{ dst: "0.0.0.0/0" }],
      dns: { nameservers: ["10.1.0.1"] },
      vendor: { kept: true },
    };
    assert.deepEqual(readResult(raw, "0.4.0"), {
      cniVersion: "0.4.0",
      interfaces: [{ name: "cni0" }, { name: "eth0", sandbox: "/ns" }],
      ips: [
        { version: "4", address: "10.1.0.5/16", interface: 1 },
        { version: "6", address: "fd00::5/64" },
      ],
      routes: [{ dst: "0.0.0.0/0" }],
      dns: { nameservers: ["10.1.0.1"] },
      vendor: { kept: true },
    });
  });

  it("of 0.3 and 0.4 becomes one of 1.x", () => {
    const raw = { cniVersion: "0.3.1", ips: [{ version: "4", address: "10.1.0.5/16" }] };
    assert.deepEqual(readResult(raw, "1.1.0"), { cniVersion: "1.1.0", ips: [{ address: "10.1.0.5/16" }] });
  });

  it("of 0.2 becomes one of any later version", () => {
    const raw = {
      cniVersion: "0.2.0",
      ip4: { ip: "10.1.0.5/16", gateway: "10.1.0.1", routes: [{ dst: "0.0.0.0/0" }] },
      ip6: { ip: "fd00::5/64" },
    };
    assert.deepEqual(readResult(raw, "1.0.0"), {
      cniVersion: "1.0.0",
      routes: [{ dst: "0.0.0.0/0" }],
      ips: [{ address: "10.1.0.5/16", gateway: "10.1.0.1" }, { address: "fd00::5/64" }],
    });
    assert.deepEqual(readResult(raw, "0.3.1")["ips"], [
      { version: "4", address: "10.1.0.5/16", gateway: "10.1.0.1" },
      { version: "6", address: "fd00::5/64" },
    ]);
  });

  it("without a version is of its configuration's, and Go's nulls are empty lists", () => {
    assert.deepEqual(readResult({ cniVersion: "", ips: null, interfaces: null }, "1.0.0"), {
      cniVersion: "1.0.0",
      ips: [],
      interfaces: [],
    });
  });

  it("is checked for its use, for every value", () => {
    fc.assert(
      fc.property(
        fc.record(
          {
            cniVersion: fc.oneof(fc.constantFrom("0.2.0", "0.4.0", "1.1.0"), fc.jsonValue()),
            ips: fc.oneof(
              fc.array(fc.oneof(fc.record({ address: fc.jsonValue() }), fc.jsonValue())),
              fc.jsonValue(),
            ),
            ip4: fc.jsonValue(),
            interfaces: fc.jsonValue(),
          },
          { requiredKeys: [] },
        ),
        fc.constantFrom("0.3.1", "0.4.0", "1.0.0", "1.1.0"),
        (raw, version) => {
          try {
            const result = readResult(raw, version);
            assert.equal(result.cniVersion, version);
            assert.ok(addressesOf(result, "eth0").every((address) => !address.includes("/")));
          } catch (error) {
            assert.ok(isShimError(error, "internal"), String(error));
          }
        },
      ),
    );
  });
});

describe("a pod's addresses", () => {
  const of = (...ips: object[]) => addressesOf(readResult({ interfaces, ips }, "1.0.0"), "eth0");

  it("are IPv4 first, otherwise in the result's order, each once", () => {
    const ips = ["fd00::5/64", "10.1.0.5/16", "fd00::4/64", "10.1.0.4/16", "10.1.0.5/24"];
    assert.deepEqual(of(...ips.map((address) => ({ address, interface: 1 }))), [
      "10.1.0.5",
      "10.1.0.4",
      "fd00::5",
      "fd00::4",
    ]);
  });

  it("are not the host's, unless there are no others", () => {
    assert.deepEqual(of({ address: "10.0.0.1/8", interface: 0 }, { address: "10.1.0.5/16" }), ["10.1.0.5"]);
    assert.deepEqual(of({ address: "10.0.0.1/8", interface: 0 }), ["10.0.0.1"]);
    assert.deepEqual(of({ address: "10.0.0.1/8", interface: 99 }), ["10.0.0.1"]);
    assert.deepEqual(of(), []);
  });
});
