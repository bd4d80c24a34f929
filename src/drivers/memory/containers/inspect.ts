import type { DockerContainer, DockerContainerSummary } from "../../../docker/index.js";
import type { MemoryEngine } from "../engine.js";
import type { Container } from "./container.js";

/** The result of `docker inspect`. */
export function inspectContainer(engine: MemoryEngine, container: Container): DockerContainer {
  const namespace = container.run?.networkNamespacePath;
  return structuredClone({
    id: container.id,
    name: container.name,
    createdAtNanos: container.createdAtNanos,
    imageId: container.image.id,
    state: container.state(),
    config: container.config,
    host: container.host,
    mounts: container.mounts,
    networks: container.endpoints(),
    ...(namespace === undefined ? {} : { networkNamespacePath: namespace }),
    upperDirectory: upperDirectory(container),
    ...(hasLogFile(container) ? { logPath: logPath(container) } : {}),
    ...resolvConf(engine, container),
    restartCount: 0,
    execIds: [...container.execs].filter((exec) => exec.running || !exec.started).map(({ id }) => id),
  });
}

/** The folder of the writable layer on the node. The files of a container's programs are not in it. */
export function upperDirectory({ id }: Pick<Container, "id">): string {
  return `/var/lib/docker/overlay2/${id}/diff`;
}

/** Docker reports the file after the first start. */
function hasLogFile({ host, startedAtNanos }: Container): boolean {
  return host.logConfig?.driver === "json-file" && startedAtNanos !== undefined;
}

/** The json-file of a container's log on the node. */
export function logPath({ folder, id }: Pick<Container, "folder" | "id">): string {
  return `${folder}/${id}-json.log`;
}

/** A container that joins another's network has that one's resolv.conf. */
function resolvConf(engine: MemoryEngine, container: Container): { resolvConfPath?: string } {
  const owner = container.host.networkMode?.startsWith("container:")
    ? engine.peek(container.host.networkMode.slice("container:".length))
    : container;
  if (!owner || (owner === container && container.startedAtNanos === undefined)) return {};
  return { resolvConfPath: `${owner.folder}/resolv.conf` };
}

/** A line of `docker ps`. */
export function summarise(engine: MemoryEngine, container: Container): DockerContainerSummary {
  const named = container.config.image ?? container.image.id;
  return {
    id: container.id,
    names: [container.name],
    image: stillMeans(engine, named, container) ? named : container.image.id,
    imageId: container.image.id,
    labels: { ...container.config.labels },
    state: container.status,
    createdAtSeconds: Number(container.createdAtNanos / 1_000_000_000n),
    mounts: structuredClone(container.mounts),
  };
}

function stillMeans(engine: MemoryEngine, reference: string, container: Container): boolean {
  try {
    return engine.images.find(reference, "containers.list").image.id === container.image.id;
  } catch {
    return false;
  }
}
