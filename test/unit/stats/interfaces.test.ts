import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseInterfaces } from "../../../src/stats/interfaces.js";

const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:  999       9    0    0    0     0          0         0   999        9    0    0    0     0       0          0
  eth0: 1000      10    1    2    0     0          0         0  2000       20    3    4    0     0       0          0
net1:18446744073709551615 5 0 0 0 0 0 0 7 1 0 0 0 0 0 0
`;

describe("the interfaces of a network namespace", () => {
  it("are all but the loopback, with what was lost", () => {
    const [eth0, net1, ...others] = parseInterfaces(text);
    assert.deepEqual(eth0, {
      name: "eth0",
      receivedBytes: 1000n,
      receivedPackets: 10n,
      receiveErrors: 1n,
      receiveDropped: 2n,
      sentBytes: 2000n,
      sentPackets: 20n,
      sendErrors: 3n,
      sendDropped: 4n,
    });
    assert.equal(net1?.name, "net1");
    assert.equal(net1.receivedBytes, 18446744073709551615n);
    assert.deepEqual(others, []);
  });

  it("are empty without interfaces or when the text is malformed", () => {
    for (const other of [
      "",
      "\n",
      "eth0: 1 2 3\n",
      "eth0\n",
      `eth0: ${"18446744073709551616 ".repeat(16)}\n`,
      "eth0: a b c d e f g h i j k l m n o p\n",
    ]) {
      assert.deepEqual(parseInterfaces(other), []);
    }
  });
});
