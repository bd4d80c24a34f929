import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createClients } from "../../../src/client/index.js";
import { ImageService, RuntimeService } from "../../../src/gen/runtime/v1/api_pb.js";
import { createTestShim, type TestShim } from "../../../src/testing/index.js";
import { startContainer } from "./pod.js";

const metrics = { address: "127.0.0.1:0" };

async function open(): Promise<TestShim & { read: () => Promise<Map<string, number>> }> {
  const lab = await createTestShim({ metrics, images: ["busybox:1.36"] });
  return Object.assign(lab, { read: async () => parse((await lab.shim.metrics?.text()) ?? "") });
}

/** Values by name with labels, as they stand in the text. */
function parse(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line): [string, number] => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

const rpcCount = (service: string, method: string, code: string) =>
  `docker_cri_rpc_duration_seconds_count{service="${service}",method="${method}",code="${code}"}`;

describe("the shim's own metrics", () => {
  it("are off without an address", async () => {
    await using lab = await createTestShim();
    assert.equal(lab.shim.metrics, undefined);
    assert.equal(lab.shim.observer, undefined);
  });

  it("count RPCs by method and code, and those that are open", async () => {
    await using lab = await open();
    const { runtime } = createClients(lab.shim.inProcessTransport());
    await runtime.version({});
    await runtime.version({});
    await assert.rejects(runtime.containerStatus({ containerId: "none" }));
    const leave = new AbortController();
    const events = runtime.getContainerEvents({}, { signal: leave.signal })[Symbol.asyncIterator]();
    const next = events.next().catch(() => undefined);
    const openStreams = `docker_cri_rpcs_open{service="RuntimeService",method="GetContainerEvents"}`;
    while ((await lab.read()).get(openStreams) !== 1) await pause(5);
    const during = await lab.read();
    assert.equal(during.get(rpcCount("RuntimeService", "Version", "OK")), 2);
    assert.equal(during.get(rpcCount("RuntimeService", "ContainerStatus", "NotFound")), 1);
    leave.abort();
    await next;
    while ((await lab.read()).get(openStreams) !== 0) await pause(5);
    const after = await lab.read();
    assert.equal(after.get(rpcCount("RuntimeService", "GetContainerEvents", "Canceled")), 1);
  });

  it("have no other methods than the contract's, and no ids or names of containers", async () => {
    await using lab = await open();
    const { runtime, images } = createClients(lab.shim.inProcessTransport());
    for (let round = 0; round < 30; round++) {
      await runtime.containerStatus({ containerId: `secret-${round}` }).catch(() => undefined);
      await images.pullImage({ image: { image: `secret-${round}:1` } }).catch(() => undefined);
    }
    const text = (await lab.shim.metrics?.text()) ?? "";
    assert.doesNotMatch(text, /secret/);
    const contract = [RuntimeService, ImageService].flatMap(({ methods }) => methods.map(({ name }) => name));
    const methods = new Set([...text.matchAll(/method="([^"]*)"/g)].map(([, name = ""]) => name));
    assert.deepEqual(
      [...methods].filter((name) => !contract.includes(name)),
      [],
    );
    assert.deepEqual([...methods].sort(), ["ContainerStatus", "PullImage"]);
  });

  it("count calls to Docker by their result", async () => {
    await using lab = await open();
    lab.engine.faults.on("containers.create", { error: "conflict" });
    const { runtime } = createClients(lab.shim.inProcessTransport());
    const metadata = { name: "p", namespace: "d", uid: "u" };
    await assert.rejects(runtime.runPodSandbox({ config: { metadata } }));
    const values = await lab.read();
    const created = [...values].filter(([name]) =>
      name.startsWith(`docker_cri_docker_call_duration_seconds_count{call="containers.create"`),
    );
    assert.ok(created.length > 0);
    assert.ok(created.every(([name]) => name.includes(`result="conflict"`)));
    assert.equal(
      values.get(`docker_cri_docker_call_duration_seconds_count{call="system.info",result="ok"}`),
      1,
    );
    assert.equal(values.get(`docker_cri_docker_calls_open{call="events.subscribe"}`), 1);
  });

  it("show the inventory, and that it was reread", async () => {
    await using lab = await open();
    const first = await lab.read();
    assert.equal(first.get("docker_cri_docker_connected"), 1);
    assert.equal(first.get("docker_cri_inventory_syncs_total"), 1);
    assert.equal(first.get("docker_cri_sandboxes"), 0);
    const age = first.get("docker_cri_inventory_age_seconds") ?? NaN;
    assert.ok(age >= 0 && age < 10);
    await startContainer(lab.shim, { command: ["sleep", "100"] });
    lab.engine.faults.events.breakStream();
    while ((await lab.read()).get("docker_cri_inventory_syncs_total") === 1) await pause(20);
    const second = await lab.read();
    assert.equal(second.get("docker_cri_inventory_syncs_total"), 2);
    assert.equal(second.get("docker_cri_sandboxes"), 1);
    assert.equal(second.get("docker_cri_containers"), 1);
  });

  it("count the lines of logs, and how late they are", async () => {
    await using lab = await open();
    await startContainer(lab.shim, { command: ["sh", "-c", "echo one; echo two; sleep 100"] });
    const lines = async () => (await lab.read()).get("docker_cri_log_lines_total") ?? 0;
    while ((await lines()) < 2) await pause(20);
    const values = await lab.read();
    assert.equal(values.get("docker_cri_log_lines_total"), 2);
    assert.equal(values.get("docker_cri_log_pumps"), 1);
    assert.ok((values.get("docker_cri_log_bytes_total") ?? 0) > 2 * "one".length);
    assert.ok((values.get("docker_cri_log_lag_seconds_count") ?? 0) >= 1);
    assert.ok((values.get("docker_cri_log_lag_seconds_sum") ?? NaN) < 10);
  });

  it("count pulls, and sessions", async () => {
    await using lab = await open();
    const { images } = createClients(lab.shim.inProcessTransport());
    await images.pullImage({ image: { image: "busybox:1.36" } });
    await images.pullImage({ image: { image: "missing:1" } }).catch(() => undefined);
    const id = await startContainer(lab.shim, { command: ["sleep", "100"] });
    const process = await lab.shim.exec(id, ["sleep", "100"]);
    const values = await lab.read();
    assert.equal(values.get("docker_cri_image_pulls_succeeded_total"), 1);
    assert.equal(values.get("docker_cri_image_pulls_failed_total"), 1);
    assert.equal(values.get("docker_cri_image_pulls_running"), 0);
    assert.equal(values.get("docker_cri_streaming_sessions_open"), 1);
    await process.close();
    // The session counts until its process has ended.
    await process.exitCode.catch(() => undefined);
    assert.equal((await lab.read()).get("docker_cri_streaming_sessions_open"), 0);
  });

  it("have the process's event loop and heap, for several shims in one process", async () => {
    await using one = await open();
    await using two = await open();
    for (const lab of [one, two]) {
      // It is measured every 10 ms.
      await pause(50);
      const values = await lab.read();
      assert.ok((values.get("nodejs_heap_size_used_bytes") ?? 0) > 1e6);
      assert.ok((values.get("nodejs_eventloop_lag_p99_seconds") ?? 0) > 0);
      assert.equal(values.get("docker_cri_inventory_syncs_total"), 1);
    }
  });
});
