import { pino } from "pino";
import { createClients, type Clients } from "../../../src/client/index.js";
import { createShim, Network, type Shim } from "../../../src/index.js";
import { createMemoryDocker, type MemoryDocker } from "../../../src/testing/index.js";
import { LeasingNetwork } from "./leasing-network.js";

export const sandboxImage = "registry.k8s.io/pause:3.10";
export const image = "busybox:1.36";
export const checkpointFolder = "/var/lib/cri-dockerd/sandbox";

export interface Rig extends AsyncDisposable {
  readonly shim: Shim;
  readonly runtime: Clients["runtime"];
  readonly engine: MemoryDocker;
  readonly network: LeasingNetwork;
  /** What the log says at warn and above. */
  readonly logged: readonly Record<string, unknown>[];
}

/** A shim over an engine in memory, with a network that counts its addresses. */
export async function openRig(
  options: {
    readonly engine?: MemoryDocker;
    readonly network?: LeasingNetwork;
    readonly orphanGraceMs?: number;
  } = {},
): Promise<Rig> {
  const engine = options.engine ?? createMemoryDocker({ images: [sandboxImage, image] });
  const network = options.network ?? new LeasingNetwork();
  const logged: Record<string, unknown>[] = [];
  const keep = { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) };
  const shim = await createShim({
    engine: engine.connect(),
    host: engine.host,
    log: pino({ level: "warn" }, keep),
    ...(options.orphanGraceMs === undefined ? {} : { orphanGraceMs: options.orphanGraceMs }),
    override: (container) => {
      container.register(Network, { useValue: network });
    },
  });
  await shim.start();
  const { runtime } = createClients(shim.inProcessTransport());
  return {
    shim,
    runtime,
    engine,
    network,
    logged,
    async [Symbol.asyncDispose]() {
      await shim.close();
      // Its containers run on otherwise, and keep the process alive.
      await engine.close();
    },
  };
}

export function podConfig(name: string) {
  return {
    metadata: { name, namespace: "default", uid: `uid-${name}`, attempt: 0 },
    dnsConfig: { servers: ["10.0.0.10"], searches: ["cluster.local"], options: ["ndots:5"] },
    portMappings: [{ hostPort: 8080, containerPort: 80 }],
  };
}

/** Starts a container that runs until it is stopped. */
export async function runContainer({ runtime }: Rig, podSandboxId: string, name: string): Promise<string> {
  const { containerId } = await runtime.createContainer({
    podSandboxId,
    sandboxConfig: podConfig(name),
    config: { metadata: { name: "main" }, image: { image }, command: ["sleep", "infinity"] },
  });
  await runtime.startContainer({ containerId });
  return containerId;
}

/** Waits until `holds`, and fails after ten seconds. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not so after 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
