import { describe, it } from "node:test";
import { serveUnixSocket } from "../../../src/adapters/unix-socket/index.js";
import { createClients } from "../../../src/client/index.js";
import { Inventory } from "../../../src/inventory/index.js";
import { createTestShim } from "../../../src/testing/index.js";
import { eventually, image } from "./lab.js";

type Runtime = ReturnType<typeof createClients>["runtime"];

async function podLife(runtime: Runtime, name: string): Promise<void> {
  const sandboxConfig = { metadata: { name, namespace: "churn", uid: name, attempt: 0 } };
  const { podSandboxId } = await runtime.runPodSandbox({ config: sandboxConfig });
  const config = { metadata: { name: "main" }, image: { image }, command: ["sleep", "infinity"], linux: {} };
  const { containerId } = await runtime.createContainer({ podSandboxId, config, sandboxConfig });
  await runtime.startContainer({ containerId });
  await runtime.containerStatus({ containerId });
  await runtime.stopPodSandbox({ podSandboxId });
  await runtime.removePodSandbox({ podSandboxId });
}

/** What keeps the process alive, by kind. */
function held(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

describe("pods made and removed", () => {
  it("leave no timer, no socket and no record", { timeout: 120_000 }, async () => {
    await using lab = await createTestShim({ images: [image] });
    await using server = await serveUnixSocket(lab.shim, { path: `/tmp/churn-${process.pid}.sock` });
    using clients = createClients({ endpoint: server.address });
    const { runtime } = clients;
    const four = (round: number) =>
      Promise.all([0, 1, 2, 3].map((index) => podLife(runtime, `pod-${round}-${index}`)));
    await four(0);
    const inventory = lab.shim.resolve(Inventory);
    const idle = () => inventory.sandboxes().length + inventory.workloads().length === 0;
    await eventually("the first are gone", idle);
    const before = held();
    for (let round = 1; round <= 25; round++) await four(round);
    await eventually("all are gone", idle);
    await eventually("what they held is given back", () =>
      Object.entries(held()).every(([kind, count]) => count <= (before[kind] ?? 0)),
    );
  });
});
