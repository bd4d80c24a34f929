import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { statsLab } from "./lab.js";

describe("shim.stats", () => {
  it("reports typed values of containers and pods, as a test has set them", async () => {
    await using lab = await statsLab();
    const { pod, ids } = await lab.runPod("web", ["app", "sidecar"]);
    lab.engine.use(ids[0]!, {
      cpuNanos: 2_000_000_000,
      memoryBytes: 900,
      inactiveFileBytes: 100,
      writtenBytes: 64,
    });
    lab.engine.use(pod, { receivedBytes: 11 });
    const [app] = await lab.shim.stats.containers({ id: ids[0]! });
    assert.equal(app?.name, "app");
    assert.deepEqual(app.pod, { name: "web", namespace: "default", uid: "uid-web" });
    assert.equal(app.sandboxId, pod);
    assert.deepEqual({ ...app.labels }, { app: "app" });
    assert.equal(app.cpu?.usageCoreNanos, 2_000_000_000n);
    assert.equal(app.memory?.workingSetBytes, 800n);
    assert.equal(app.io?.devices?.[0]?.bytes.get("Write"), 64n);
    assert.equal(app.processes?.processes, 1n);
    const [web, ...others] = await lab.shim.stats.pods();
    assert.deepEqual(others, []);
    assert.equal(web?.id, pod);
    assert.equal(web.network?.interfaces[0]?.receivedBytes, 11n);
    assert.deepEqual(web.containers.map(({ name }) => name).sort(), ["app", "sidecar"]);
    assert.deepEqual(await lab.shim.stats.pods({ labelSelector: { pod: "none" } }), []);
  });

  it("reports them again in an interval, until it is to end", async () => {
    await using lab = await statsLab();
    const { ids } = await lab.runPod("web");
    const over = new AbortController();
    const seen: (bigint | undefined)[] = [];
    const startedAtMs = performance.now();
    for await (const [web] of lab.shim.stats.watch({ intervalMs: 200, signal: over.signal })) {
      seen.push(web?.containers[0]?.cpu?.usageCoreNanos);
      lab.engine.use(ids[0]!, { cpuNanos: seen.length * 1_000_000_000 });
      if (seen.length === 3) over.abort();
    }
    // A timer of Node's may be a millisecond early.
    assert.ok(performance.now() - startedAtMs >= 398);
    assert.deepEqual(seen.slice(1), [1_000_000_000n, 2_000_000_000n]);
    for await (const pods of lab.shim.stats.watch()) {
      assert.equal(pods.length, 1);
      break;
    }
    for (const intervalMs of [0, -1, NaN, Infinity]) {
      assert.throws(() => lab.shim.stats.watch({ intervalMs }), /interval/);
    }
  });
});
