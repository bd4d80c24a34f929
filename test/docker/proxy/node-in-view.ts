import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { createShim, DockerService, type Shim } from "../../../src/index.js";
import { createClients, ContainerState, PodSandboxState, type Clients } from "../../../src/client/index.js";
import { pausesPerList } from "../../../src/inventory/list-pace.js";
import type { Dockerd } from "../lab/index.js";

/** A shim on a real dockerd, what it tells, and what Docker itself tells. */
export interface NodeInView extends AsyncDisposable {
  readonly shim: Shim;
  readonly cri: Clients;
  readonly dockerd: Dockerd;
}

export async function openNode(dockerd: Dockerd, endpoint = dockerd.endpoint): Promise<NodeInView> {
  const shim = await createShim({
    engine: { kind: "docker", endpoint },
    network: { plugin: "none" },
    restrictOomScoreAdj: true,
    rootDirectory: `${dockerd.folder}/shim`,
    logLevel: "error",
  });
  await shim.start();
  const cri = createClients(shim.inProcessTransport());
  return { shim, cri, dockerd, [Symbol.asyncDispose]: () => shim.close() };
}

export function podConfig(name: string) {
  return {
    metadata: { name, namespace: "chaos", uid: `uid-${name}`, attempt: 0 },
    linux: { securityContext: { namespaceOptions: { network: 2 } } },
  };
}

export async function runPod({ cri }: NodeInView, name: string): Promise<string> {
  return (await cri.runtime.runPodSandbox({ config: podConfig(name) })).podSandboxId;
}

/** Runs a container in a pod; `gate` is a folder of the node that it sees as /gate. */
export async function runContainer(
  { cri }: NodeInView,
  pod: { readonly id: string; readonly name: string },
  name: string,
  command: readonly string[],
  gate?: string,
): Promise<string> {
  const { containerId } = await cri.runtime.createContainer({
    podSandboxId: pod.id,
    config: {
      metadata: { name, attempt: 0 },
      image: { image: "busybox:1.36" },
      command: [...command],
      linux: {},
      mounts: gate === undefined ? [] : [{ hostPath: gate, containerPath: "/gate" }],
    },
    sandboxConfig: podConfig(pod.name),
  });
  await cri.runtime.startContainer({ containerId });
  return containerId;
}

/** What the shim's lists say: a line for each pod and container. */
async function shownLines({ cri }: NodeInView): Promise<string[]> {
  const [pods, containers] = await Promise.all([
    cri.runtime.listPodSandbox({}),
    cri.runtime.listContainers({}),
  ]);
  return [
    ...pods.items.map(
      ({ id, state }) => `${id} ${state === PodSandboxState.SANDBOX_READY ? "running" : "exited"}`,
    ),
    ...containers.containers.map(({ id, state }) => `${id} ${stateNames[state]}`),
  ].sort();
}

const stateNames: Readonly<Record<ContainerState, string>> = {
  [ContainerState.CONTAINER_CREATED]: "created",
  [ContainerState.CONTAINER_RUNNING]: "running",
  [ContainerState.CONTAINER_EXITED]: "exited",
  [ContainerState.CONTAINER_UNKNOWN]: "unknown",
};

/**
 * Waits until the shim says of every container what `docker ps` says. Fails after 3 s, or later where Docker's lists are
 * slow.
 */
export async function untilDockerAgrees(node: NodeInView): Promise<void> {
  const began = Date.now();
  let longestListMs = 0;
  for (;;) {
    const asked = Date.now();
    await node.shim.resolve<DockerService>(DockerService).containers.list();
    longestListMs = Math.max(longestListMs, Date.now() - asked);
    const end = began + 3_000 + longestListMs * pausesPerList;
    const shown = await shownLines(node);
    const { stdout } = await node.dockerd.docker([
      "ps",
      "-a",
      "--no-trunc",
      "--format",
      "{{.ID}} {{.State}}",
    ]);
    const real = stdout.split("\n").filter((line) => line !== "");
    if (JSON.stringify([...real].sort()) === JSON.stringify(shown)) return;
    if (asked > end) assert.deepEqual(shown, [...real].sort());
    await pause(50);
  }
}

/** Reads both lists all the time. Each list must always hold at least as many as it is told. */
export function poll({ cri }: NodeInView, atLeast: { readonly pods: number; readonly containers: number }) {
  const over = new AbortController();
  const found = { reads: 0, tooShort: 0, errors: [] as unknown[] };
  const reading = (async () => {
    while (!over.signal.aborted) {
      try {
        const { items } = await cri.runtime.listPodSandbox({});
        const { containers } = await cri.runtime.listContainers({});
        found.reads++;
        if (items.length < atLeast.pods || containers.length < atLeast.containers) found.tooShort++;
      } catch (error) {
        found.errors.push(error);
      }
      await pause(20);
    }
  })();
  return {
    /** @throws AssertionError when a read failed or a list was too short. */
    end: async () => {
      over.abort();
      await reading;
      assert.deepEqual(found.errors, []);
      assert.equal(found.tooShort, 0, `${found.tooShort} of ${found.reads} reads were too short`);
      assert.ok(found.reads > 10, `only ${found.reads} reads`);
    },
  };
}
