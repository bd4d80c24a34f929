import type { DockerContainer, DockerContainerState } from "../../../src/docker/index.js";

export const containerId = "c".repeat(64);
export const sandboxId = "5".repeat(64);
export const imageId = `sha256:${"1".repeat(64)}`;

export type StateChanges = {
  readonly [K in keyof DockerContainerState]?: DockerContainerState[K] | undefined;
};
export type Changes = Partial<Omit<DockerContainer, "state">> & { readonly state?: StateChanges };

/** A container that was created and never started, changed as a test needs it; undefined takes a part away. */
export function dockerContainer({ state, ...changes }: Changes = {}): DockerContainer {
  const known = Object.entries({
    status: "created",
    running: false,
    paused: false,
    oomKilled: false,
    dead: false,
    ...state,
  }).filter(([, value]) => value !== undefined);
  return {
    id: containerId,
    name: "k8s_nginx_web-0_shop_1f-2e_7",
    createdAtNanos: 1_000n,
    imageId,
    host: {},
    mounts: [],
    networks: [],
    execIds: [],
    ...changes,
    config: {
      labels: { "io.kubernetes.docker.type": "container", "io.kubernetes.sandbox.id": sandboxId },
      ...(changes.config ?? { image: "nginx:1" }),
    },
    state: Object.fromEntries(known) as unknown as DockerContainerState,
  };
}

/** A sandbox that runs. */
export function dockerSandbox(changes: Changes = {}): DockerContainer {
  return dockerContainer({
    id: sandboxId,
    name: "k8s_POD_web-0_shop_1f-2e_3",
    ...changes,
    config: {
      labels: {
        "io.kubernetes.docker.type": "podsandbox",
        "io.kubernetes.container.name": "POD",
        app: "web",
      },
      ...(changes.config ?? { image: "registry.k8s.io/pause:3.10" }),
    },
    state: { status: "running", running: true, pid: 42, startedAtNanos: 2_000n, ...changes.state },
  });
}
