import type { DockerContainerConfig, DockerHostConfig, DockerService } from "../../../../src/docker/index.js";
import {
  createMemoryDocker,
  type MemoryDocker,
  type MemoryDockerOptions,
} from "../../../../src/drivers/memory/index.js";

export const image = "busybox:1.36";

/** A memory engine with a busybox. */
export function engineWithBusybox(options: MemoryDockerOptions = {}): MemoryDocker {
  return createMemoryDocker({ images: [image], ...options });
}

let count = 0;

/** Makes a container that is not started. @returns Its id. */
export async function create(
  service: DockerService,
  command: readonly string[],
  more: { name?: string; config?: DockerContainerConfig; host?: DockerHostConfig } = {},
): Promise<string> {
  const name = more.name ?? `unit-${++count}`;
  const config = { image, command, ...more.config };
  return (await service.containers.create({ name, config, host: more.host ?? {} })).id;
}

/** Makes a container and starts it. @returns Its id. */
export async function run(
  service: DockerService,
  command: readonly string[],
  more: Parameters<typeof create>[2] = {},
): Promise<string> {
  const id = await create(service, command, more);
  await service.containers.start(id);
  return id;
}

/** Lets what is under way come to rest: so many turns of the event loop. */
export async function turns(times = 5): Promise<void> {
  for (let index = 0; index < times; index++) await new Promise((resolve) => setImmediate(resolve));
}

export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}
