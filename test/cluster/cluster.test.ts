import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openLab } from "../docker/lab/index.js";
import { openCluster, type Cluster } from "./cluster.js";

const lab = openLab();
after(async () => {
  await lab.close();
});

describe("a cluster on one node", { timeout: 3_000_000 }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await openCluster(lab);
  });

  it("kubectl run: a pod starts, and ends with its exit code", async () => {
    const { kubectl } = cluster;
    await kubectl.out("run", "once", "--image=busybox:1.36", "--restart=Never", "--", "echo", "by kubectl");
    await kubectl.untilPod("once", ({ status }) => status.phase === "Succeeded");
    assert.equal(await kubectl.out("logs", "once"), "by kubectl\n");
  });
});
