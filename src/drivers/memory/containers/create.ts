import { ShimError } from "../../../base/index.js";
import {
  NameConflict,
  type DockerContainerConfig,
  type DockerContainerSpec,
  type DockerHostConfig,
} from "../../../docker/index.js";
import type { MemoryEngine } from "../engine.js";
import { randomId } from "../ids.js";
import type { StoredImage } from "../images/image.js";
import { Container } from "./container.js";
import { ContainerFiles } from "./files.js";
import { logPath, upperDirectory } from "./inspect.js";
import { LogStore } from "./log-store.js";
import { makeMounts } from "./mounts.js";
import { withDefaults } from "./resources.js";
import { checkSpec } from "./validate.js";

const operation = "containers.create";
/** The limit of a log without options. Docker has none, but here the log is in memory. */
const defaultLogBytes = 32 * 1024 * 1024;

/** Creates a container and emits the event. */
export function createContainer(engine: MemoryEngine, spec: DockerContainerSpec): Container {
  const name = spec.name.replace(/^\//, "");
  checkSpec(engine, { ...spec, name });
  const reference = spec.config.image ?? "";
  if (reference === "")
    throw new ShimError("invalid-argument", `${operation}: no image was named`, { operation });
  const { image } = engine.images.find(reference, operation);
  const id = randomId();
  const config = mergeConfig(spec.config, image, id, spec.host);
  if ((config.entrypoint?.length ?? 0) + (config.command?.length ?? 0) === 0) {
    const why = `${reference} has no command, and none was given`;
    throw new ShimError("invalid-argument", `${operation}: ${why}`, { operation });
  }
  const holder = engine.names.get(name);
  if (holder !== undefined) {
    throw new ShimError(
      "already-exists",
      `${operation}: the name ${name} is in use by container ${holder}; remove that one, or take another name`,
      { operation, cause: new NameConflict(name, holder) },
    );
  }
  const host = mergeHost(engine, spec.host);
  const mounts = makeMounts(engine, host, image);
  const folder = `/var/lib/docker/containers/${id}`;
  const own = { "/etc/os-release": "NAME=memory\n", ...image.spec.files };
  const container = new Container({
    id,
    name,
    createdAtNanos: engine.clock.now(),
    image,
    config,
    host,
    mounts,
    log: new LogStore(engine.clock, logLimit(host)),
    files: new ContainerFiles(
      engine.host.tree,
      [...mounts, ...etcMounts(engine, host, folder, mounts)],
      own,
      host.readonlyRootfs === true,
    ),
    folder,
  });
  engine.containers.set(id, container);
  engine.names.set(name, id);
  engine.host.tree.makeDirectory(folder, 0o710);
  engine.host.tree.makeDirectory(upperDirectory(container));
  if (host.logConfig?.driver === "json-file") {
    engine.host.tree.replace(logPath(container), () => container.log.asJsonFile(), 0o640);
  }
  engine.emit(container, "create");
  return container;
}

/** The files that Docker mounts over /etc; in a joined network they belong to the other container. */
function etcMounts(
  engine: MemoryEngine,
  host: DockerHostConfig,
  folder: string,
  mounts: Container["mounts"],
) {
  const mode = host.networkMode ?? "";
  const owner = mode.startsWith("container:") ? engine.peek(mode.slice("container:".length)) : undefined;
  return ["hostname", "hosts", "resolv.conf"]
    .map((name) => ({ source: `${owner?.folder ?? folder}/${name}`, target: `/etc/${name}`, writable: true }))
    .filter(({ target }) => !mounts.some((mount) => mount.target === target));
}

/** The container's configuration with the image's as defaults, by Docker's rules. */
function mergeConfig(
  config: DockerContainerConfig,
  image: StoredImage,
  id: string,
  host: DockerHostConfig,
): DockerContainerConfig {
  const base = image.config;
  const ownsCommand = (config.command?.length ?? 0) > 0;
  const ownsEntrypoint = (config.entrypoint?.length ?? 0) > 0;
  const entrypoint = config.entrypoint ?? base.entrypoint;
  const command = ownsCommand || ownsEntrypoint ? config.command : base.command;
  const named = new Set((config.env ?? []).map(variableOf));
  const inherited = (base.env ?? []).filter((pair) => !named.has(variableOf(pair)));
  const joined = host.networkMode?.startsWith("container:") ?? false;
  const stopSignal = config.stopSignal ?? base.stopSignal;
  const ports = [...new Set([...(config.exposedPorts ?? []), ...(base.exposedPorts ?? [])])];
  return {
    ...config,
    hostname: joined ? "" : config.hostname || (host.networkMode === "host" ? "memory" : id.slice(0, 12)),
    user: config.user || base.user || "",
    env: [...(config.env ?? []), ...inherited],
    workingDir: config.workingDir || base.workingDir || "",
    labels: { ...base.labels, ...config.labels },
    ...(entrypoint === undefined ? {} : { entrypoint }),
    ...(command === undefined ? {} : { command }),
    ...(stopSignal === undefined ? {} : { stopSignal }),
    ...(ports.length > 0 && !joined ? { exposedPorts: ports } : {}),
    tty: config.tty ?? false,
    openStdin: config.openStdin ?? false,
    stdinOnce: config.stdinOnce ?? false,
  };
}

function variableOf(pair: string): string {
  return pair.split("=")[0] ?? "";
}

const maskedPaths = [
  "/proc/acpi",
  "/proc/kcore",
  "/proc/keys",
  "/proc/timer_list",
  "/proc/scsi",
  "/sys/firmware",
];
const readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/** The host configuration with the engine's defaults. */
function mergeHost(engine: MemoryEngine, host: DockerHostConfig): DockerHostConfig {
  const { settings } = engine;
  const closed = host.privileged === true ? [] : undefined;
  return {
    ...host,
    networkMode: resolvedNetwork(engine, host.networkMode ?? "default"),
    ipcMode: host.ipcMode || "private",
    pidMode: host.pidMode ?? "",
    utsMode: host.utsMode ?? "",
    cgroupnsMode: host.cgroupnsMode ?? "private",
    runtime: host.runtime ?? settings.runtimes[0] ?? "runc",
    logConfig: host.logConfig ?? { driver: "json-file", options: {} },
    restartPolicy: "no",
    shmSizeBytes: host.shmSizeBytes ?? 64 * 1024 * 1024,
    maskedPaths: closed ?? host.maskedPaths ?? maskedPaths,
    readonlyPaths: closed ?? host.readonlyPaths ?? readonlyPaths,
    resources: withDefaults(host.resources ?? {}),
  };
}

/** Docker stores the id of the container whose network is joined, for any form of reference. */
function resolvedNetwork(engine: MemoryEngine, mode: string): string {
  const owner = mode.startsWith("container:") ? engine.peek(mode.slice("container:".length)) : undefined;
  return owner ? `container:${owner.id}` : mode;
}

const units: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** The log's limit by max-size and max-file, in bytes. */
function logLimit({ logConfig }: DockerHostConfig): number {
  const match = /^(\d+)([kmg]?)$/.exec(logConfig?.options?.["max-size"] ?? "");
  if (!match) return defaultLogBytes;
  const files = Number(logConfig?.options?.["max-file"] ?? "1") || 1;
  return Number(match[1]) * (units[match[2] ?? ""] ?? 1) * files;
}
