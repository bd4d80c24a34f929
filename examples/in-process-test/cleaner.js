import { Code, ConnectError, ContainerState } from "docker-cri/client";

/**
 * Removes containers that have ended. A runtime that cannot be reached is asked again, three times in all.
 * @param {import("docker-cri/client").Clients} clients
 * @returns {Promise<string[]>} The names of those it has removed.
 */
export async function removeExited({ runtime }) {
  const { containers } = await runtime.listContainers({
    filter: { state: { state: ContainerState.CONTAINER_EXITED } },
  });
  for (const { id } of containers) await patiently(() => runtime.removeContainer({ containerId: id }));
  return containers.map(({ metadata }) => metadata?.name ?? "");
}

async function patiently(call, attempts = 3) {
  try {
    return await call();
  } catch (error) {
    if (attempts === 1 || ConnectError.from(error).code !== Code.Unavailable) throw error;
    return patiently(call, attempts - 1);
  }
}
