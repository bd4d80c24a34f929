import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NodeHost } from "../../../../src/drivers/node/index.js";
import { HostPorts } from "../../../../src/network/cni/host-ports.js";

const { files } = new NodeHost();
const living = "/proc/self/ns/net";

function asking(...ports: readonly (readonly [port: number, protocol?: string, ip?: string])[]) {
  return {
    portMappings: ports.map(([hostPort, protocol = "tcp", hostIP = ""]) => ({
      hostPort,
      protocol,
      hostIP,
      containerPort: 80,
    })),
  };
}

describe("a port of the node", () => {
  for (const [first, second] of [
    [[80], [80]],
    [[80, "tcp", "10.0.0.1"], [80]],
    [[80], [80, "tcp", "fd00::1"]],
    [
      [80, "tcp", "10.0.0.1"],
      [80, "tcp", "10.0.0.1"],
    ],
    [
      [80, "tcp", "0.0.0.0"],
      [80, "tcp", "10.0.0.1"],
    ],
    [
      [80, "tcp", "fd00::1"],
      [80, "tcp", "::"],
    ],
    [
      [80, "udp", "fd00::1"],
      [80, "udp", "fd00:0:0::0:1"],
    ],
  ] as const) {
    it(`${first.join(" ")} is in the way of ${second.join(" ")}`, async () => {
      const ports = new HostPorts(files);
      await ports.claim("first", living, asking([8080], first));
      await assert.rejects(ports.claim("second", living, asking([9090], second)), {
        kind: "conflict",
        message: new RegExp(
          `host port 80/${first[1] ?? "tcp"}.* is taken by the pod with sandbox first: remove that pod`,
        ),
      });
      ports.release("first");
      await ports.claim("second", living, asking([9090], second));
    });
  }

  for (const [first, second] of [
    [[80], [81]],
    [[80], [80, "udp"]],
    [
      [80, "tcp", "10.0.0.1"],
      [80, "tcp", "10.0.0.2"],
    ],
    [
      [80, "tcp", "0.0.0.0"],
      [80, "tcp", "::"],
    ],
    [
      [80, "tcp", "0.0.0.0"],
      [80, "tcp", "fd00::1"],
    ],
  ] as const) {
    it(`${first.join(" ")} is not in the way of ${second.join(" ")}`, async () => {
      const ports = new HostPorts(files);
      await ports.claim("first", living, asking(first));
      await ports.claim("second", living, asking(second));
    });
  }

  it("is free again when its pod's namespace is gone, and for the pod itself", async () => {
    const ports = new HostPorts(files);
    ports.restore("dead", "/proc/4194305/ns/net", asking([80]));
    await ports.claim("living", living, asking([80]));
    await ports.claim("living", living, asking([80]));
    await assert.rejects(ports.claim("late", living, asking([80])), { kind: "conflict" });
  });

  it("goes to one of many concurrent calls", async () => {
    const ports = new HostPorts(files);
    ports.restore("dead", "/none", asking([80]));
    const asked = Array.from({ length: 10 }, (_, index) => ports.claim(`pod${index}`, living, asking([80])));
    const outcomes = await Promise.allSettled(asked);
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  });

  it("may be on record in any form", async () => {
    const ports = new HostPorts(files);
    ports.restore("a", living, { portMappings: "all" });
    ports.restore("b", living, {
      portMappings: [null, 1, {}, { hostPort: "80", protocol: "tcp", hostIP: 7 }],
    });
    await assert.rejects(ports.claim("c", living, asking([80])), { kind: "conflict" });
    ports.clear();
    await ports.claim("c", living, asking([80]));
  });
});
