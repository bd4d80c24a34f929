import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { fails, forever, openLab, type Lab } from "./lab.js";

const mib = 1024n * 1024n;

async function limitsOf({ runtime }: Lab, containerId: string) {
  const limits = (await runtime.containerStatus({ containerId })).status?.resources?.linux;
  assert.ok(limits);
  return limits;
}

describe("UpdateContainerResources", () => {
  it("is seen at once in ContainerStatus, and a zero changes nothing", async () => {
    await using lab = await openLab();
    const { runtime } = lab;
    const containerId = await lab.create(forever, {
      linux: {
        resources: { memoryLimitInBytes: 64n * mib, cpuShares: 512n, cpuPeriod: 100_000n, cpuQuota: 50_000n },
      },
    });
    await runtime.startContainer({ containerId });
    await runtime.updateContainerResources({
      containerId,
      linux: { memoryLimitInBytes: 128n * mib, cpuQuota: 20_000n },
    });
    const changed = await limitsOf(lab, containerId);
    assert.deepEqual(
      [changed.memoryLimitInBytes, changed.cpuQuota, changed.cpuPeriod, changed.cpuShares],
      [128n * mib, 20_000n, 100_000n, 512n],
    );
    const calls = lab.engine.calls.count("containers.update");
    await runtime.updateContainerResources({ containerId, linux: {} });
    await runtime.updateContainerResources({ containerId });
    assert.equal(lab.engine.calls.count("containers.update"), calls);
    assert.deepEqual(await limitsOf(lab, containerId), changed);
  });

  it("refuses what Docker cannot change before anything is changed", async () => {
    await using lab = await openLab();
    const containerId = await lab.run(forever);
    const before = await limitsOf(lab, containerId);
    const linux = { cpuShares: 300n };
    const refused = [
      { hugepageLimits: [{ pageSize: "2MB", limit: 1n }] },
      { unified: { "memory.hihg": "1000" } },
      { memoryLimitInBytes: -1n },
      { cpuPeriod: -1n },
    ];
    for (const each of refused) {
      await assert.rejects(
        lab.runtime.updateContainerResources({ containerId, linux: { ...linux, ...each } }),
        /resources\./,
      );
    }
    assert.equal(lab.engine.calls.count("containers.update"), 0);
    assert.deepEqual(await limitsOf(lab, containerId), before);
    await fails(lab.runtime.updateContainerResources({ containerId: "f00", linux }), Code.NotFound, /f00/);
  });

  it("reports why Docker refuses, and shows the limits as they are", async () => {
    await using lab = await openLab();
    const containerId = await lab.run(forever);
    const before = await limitsOf(lab, containerId);
    lab.engine.faults.on("containers.update", { error: "invalid-argument", message: "too small", times: 1 });
    await fails(
      lab.runtime.updateContainerResources({ containerId, linux: { cpuShares: 300n } }),
      Code.InvalidArgument,
      /too small/,
    );
    assert.deepEqual(await limitsOf(lab, containerId), before);
  });
});

describe("CheckpointContainer", () => {
  it("is refused clearly where the engine cannot, and without a place", async () => {
    await using lab = await openLab();
    const containerId = await lab.run(forever);
    const checkpoint = (location: string) =>
      lab.runtime.checkpointContainer({ containerId, location, timeout: 5n });
    await fails(checkpoint("/checkpoints/one"), Code.FailedPrecondition, /CRIU/);
    await fails(checkpoint("relative"), Code.InvalidArgument, /absolute path/);
    await lab.runtime.stopContainer({ containerId, timeout: 1n });
    await fails(checkpoint("/checkpoints/one"), Code.FailedPrecondition, /is not running/);
  });
});
