import { setTimeout as sleep } from "node:timers/promises";
import { ContainerState } from "docker-cri/client";

/**
 * Runs a container in a pod of its own to its end, and removes both.
 * @param {import("docker-cri/client").Clients} clients
 * @param {{ name: string, image: string, command: string[], started?: (containerId: string) => Promise<void> }} job
 * @returns {Promise<number>} Its exit code.
 */
export async function runJob({ runtime, images }, { name, image, command, started }) {
  await images.pullImage({ image: { image } });
  const pod = { metadata: { name, namespace: "jobs", uid: crypto.randomUUID(), attempt: 0 }, linux: {} };
  const { podSandboxId } = await runtime.runPodSandbox({ config: pod });
  try {
    const config = { metadata: { name, attempt: 0 }, image: { image }, command };
    const { containerId } = await runtime.createContainer({ podSandboxId, config, sandboxConfig: pod });
    await runtime.startContainer({ containerId });
    await started?.(containerId);
    for (;;) {
      const { status } = await runtime.containerStatus({ containerId });
      if (status?.state === ContainerState.CONTAINER_EXITED) return status.exitCode;
      await sleep(50);
    }
  } finally {
    await runtime.stopPodSandbox({ podSandboxId });
    await runtime.removePodSandbox({ podSandboxId });
  }
}
