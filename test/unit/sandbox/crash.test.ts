import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pino } from "pino";
import { createClients } from "../../../src/client/index.js";
import { ContainerState, PodSandboxState } from "../../../src/gen/runtime/v1/api_pb.js";
import { createShim, Network, type Shim } from "../../../src/index.js";
import { createMemoryDocker, type MemoryDocker } from "../../../src/testing/index.js";
import { Crash } from "./crash.js";
import { LeasingNetwork } from "./leasing-network.js";

const sandboxImage = "registry.k8s.io/pause:3.10";
const image = "busybox:1.36";
const config = {
  metadata: { name: "web", namespace: "default", uid: "uid-web", attempt: 0 },
  dnsConfig: { servers: ["10.0.0.10"], searches: [], options: [] },
  portMappings: [{ hostPort: 8080, containerPort: 80 }],
};

interface Node {
  readonly engine: MemoryDocker;
  readonly network: LeasingNetwork;
}

/** A shim on a node; a restart is another one on the same node. */
async function startShim(
  { engine, network }: Node,
  crash = new Crash(Infinity, "before"),
  orphanGraceMs = 3_600_000,
): Promise<Shim> {
  const { events, system, containers, images, execs } = engine.connect();
  // What the shim does by itself, all the time, is not a step of a call.
  const docker = {
    events,
    system,
    images,
    containers: crash.wrap(containers),
    execs,
    close: () => Promise.resolve(),
  };
  const shim = await createShim({
    engine: docker,
    host: {
      files: crash.wrap(engine.host.files),
      trees: engine.host.trees,
      logFiles: engine.host.logFiles,
      processes: engine.host.processes,
      kernel: engine.host.kernel,
      namespaces: crash.wrap(engine.host.namespaces),
      network: engine.host.network,
    },
    log: pino({ level: "silent" }),
    orphanGraceMs,
    override: (container) => {
      container.register(Network, { useValue: crash.wrap(network) });
    },
  });
  await shim.start();
  return shim;
}

const clientsOf = (shim: Shim) => createClients(shim.inProcessTransport()).runtime;

async function assertNothingLeft({ engine, network }: Node): Promise<void> {
  assert.deepEqual(await engine.containers.list(), []);
  assert.deepEqual([...network.leases.keys()], []);
  assert.deepEqual(await engine.host.files.list("/var/lib/cri-dockerd/sandbox"), []);
}

function newNode(): Node {
  return { engine: createMemoryDocker({ images: [sandboxImage, image] }), network: new LeasingNetwork() };
}

/** Runs `work` until it ends or the shim dies in it. @returns False when it was over before the crash. */
async function until(crash: Crash, work: Promise<unknown>): Promise<boolean> {
  const state = { over: false };
  const end = () => {
    state.over = true;
  };
  void work.then(end, end);
  while (!state.over && !crash.happened) await new Promise((resolve) => setTimeout(resolve, 1));
  return crash.happened;
}

describe("a shim that is killed", () => {
  for (const when of ["before", "after"] as const) {
    it(`at any step of RunPodSandbox, ${when} its effect, leaves nothing that a retry does not clear up`, async () => {
      let steps = 0;
      for (let at = 1; ; at++) {
        const node = newNode();
        const crash = new Crash(at, when);
        const shim = await startShim(node, crash);
        crash.arm();
        const died = await until(crash, clientsOf(shim).runPodSandbox({ config }));
        const again = await startShim(node);
        const runtime = clientsOf(again);
        const { podSandboxId } = await retry(() => runtime.runPodSandbox({ config }));
        await runtime.stopPodSandbox({ podSandboxId });
        await runtime.removePodSandbox({ podSandboxId });
        for (const { id } of (await runtime.listPodSandbox({})).items)
          await runtime.removePodSandbox({ podSandboxId: id });
        await assertNothingLeft(node);
        await again.close();
        // A dead shim does not end by itself; nobody hears what it does.
        void shim.close();
        if (!died) break;
        steps++;
      }
      assert.ok(steps >= 8, `only ${steps} steps`);
    });

    it(`at any step of RunPodSandbox, ${when} its effect, leaves a whole pod or none when no one tries again`, async () => {
      for (let at = 1; ; at++) {
        const node = newNode();
        const crash = new Crash(at, when);
        const shim = await startShim(node, crash);
        crash.arm();
        const died = await until(crash, clientsOf(shim).runPodSandbox({ config }));
        await new Promise((resolve) => setTimeout(resolve, 5));
        const again = await startShim(node, undefined, 1);
        const runtime = clientsOf(again);
        await retry(async () => {
          const { items } = await runtime.listPodSandbox({});
          const ids = items.map(({ id }) => id);
          assert.deepEqual([...node.network.leases.keys()], ids);
          assert.deepEqual(await node.engine.host.files.list("/var/lib/cri-dockerd/sandbox"), ids);
          assert.ok(items.every(({ state }) => state === PodSandboxState.SANDBOX_READY));
        });
        for (const { id } of (await runtime.listPodSandbox({})).items) {
          await runtime.stopPodSandbox({ podSandboxId: id });
          await runtime.removePodSandbox({ podSandboxId: id });
        }
        await assertNothingLeft(node);
        await again.close();
        void shim.close();
        if (!died) break;
      }
    });

    it(`at any step of StopPodSandbox, ${when} its effect, leaves nothing that a retry does not clear up`, async () => {
      let steps = 0;
      for (let at = 1; ; at++) {
        const node = newNode();
        const crash = new Crash(at, when);
        const shim = await startShim(node, crash);
        const { podSandboxId } = await clientsOf(shim).runPodSandbox({ config });
        const container = { metadata: { name: "main" }, image: { image }, command: ["sleep", "infinity"] };
        const { containerId } = await clientsOf(shim).createContainer({
          podSandboxId,
          sandboxConfig: config,
          config: container,
        });
        await clientsOf(shim).startContainer({ containerId });
        crash.arm();
        const died = await until(crash, clientsOf(shim).stopPodSandbox({ podSandboxId }));
        const again = await startShim(node);
        await clientsOf(again).stopPodSandbox({ podSandboxId });
        assert.deepEqual([...node.network.leases.keys()], []);
        const { containers } = await clientsOf(again).listContainers({});
        assert.deepEqual(
          containers.map(({ state }) => state),
          [ContainerState.CONTAINER_EXITED],
        );
        await clientsOf(again).removePodSandbox({ podSandboxId });
        await assertNothingLeft(node);
        await again.close();
        // A dead shim does not end by itself; nobody hears what it does.
        void shim.close();
        if (!died) break;
        steps++;
      }
      assert.ok(steps >= 4, `only ${steps} steps`);
    });
  }
});

async function retry<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === 500) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
