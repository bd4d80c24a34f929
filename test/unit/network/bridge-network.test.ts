import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pino } from "pino";
import { parseConfig } from "../../../src/config/index.js";
import { NodeHost } from "../../../src/drivers/node/index.js";
import { CniNetwork, createNetwork } from "../../../src/network/index.js";
import { pod } from "./plugin-lab.js";

const host = new NodeHost();
const log = pino({ level: "silent" });

describe("Docker's bridge", () => {
  it("is the network where no plugins are wanted, and is always ready", async () => {
    const network = createNetwork(parseConfig({ network: { plugin: "none" } }), host, log);
    await network.start();
    assert.equal(network.sandboxNetworkMode, "default");
    assert.deepEqual(network.status(), { ready: true, networkName: "bridge" });
    assert.deepEqual(await network.attach(pod(), {}), { ips: undefined, result: undefined });
    assert.equal(network.cachedIps(pod().id), undefined);
    await network.check(pod(), {});
    await network.detach(pod(), {});
    await network.gc([], {});
    await network.setPodCidr("10.0.0.0/8");
    await network.close();
  });

  it("is not the default", () => {
    const network = createNetwork(parseConfig({}), host, log);
    assert.ok(network instanceof CniNetwork);
    assert.equal(network.sandboxNetworkMode, "none");
  });
});
