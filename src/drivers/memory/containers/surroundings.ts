import { ShimError } from "../../../base/index.js";
import type { DockerHostConfig } from "../../../docker/index.js";
import type { MemoryEngine } from "../engine.js";
import { MemoryNamespaceNetwork } from "../host/network.js";
import { randomId } from "../ids.js";
import type { Container, ContainerRun } from "./container.js";

const operation = "containers.start";
const namespaceFolder = "/var/run/docker/netns";

/** The resources of a run other than its process. */
export type Surroundings = Pick<ContainerRun, "address" | "networkNamespacePath">;

/**
 * Checks the requirements of a start, and creates the run's network and files.
 * @throws ShimError "conflict" when a container to join does not run; "invalid-argument" for a missing device or
 *   source of a mount.
 */
export function beforeStart(engine: MemoryEngine, container: Container): Surroundings {
  for (const mode of ["networkMode", "ipcMode", "pidMode"] as const) checkOwner(engine, container, mode);
  checkNetwork(container.host);
  const { tree } = engine.host;
  for (const device of container.host.devices ?? []) {
    if (!tree.exists(device.hostPath)) refuse(`there is no device ${device.hostPath} on the node`);
  }
  for (const { type, source } of container.mounts) {
    if (type === "bind" && source !== undefined && !tree.exists(source)) {
      refuse(`the source of a bind mount does not exist: ${source}`);
    }
  }
  const owner = engine.peek(ownerOf(container.host, "networkMode") ?? "");
  if (owner) container.config = { ...container.config, hostname: owner.config.hostname ?? "" };
  writeEtc(engine, container);
  return makeNetwork(engine, container.host);
}

function refuse(why: string): never {
  throw new ShimError("invalid-argument", `${operation}: ${why}`, { operation });
}

function checkNetwork({ networkMode = "default" }: DockerHostConfig): void {
  if (["none", "host", "default", "bridge"].includes(networkMode) || networkMode.startsWith("container:"))
    return;
  throw new ShimError("not-found", `${operation}: there is no network ${networkMode}`, { operation });
}

/** The container that another one joins for a namespace has to run. */
function checkOwner(
  engine: MemoryEngine,
  container: Container,
  mode: "networkMode" | "ipcMode" | "pidMode",
): void {
  const reference = ownerOf(container.host, mode);
  if (reference === undefined) return;
  if (engine.container(reference, operation).running) return;
  const namespace = mode.replace("Mode", "");
  throw new ShimError(
    "conflict",
    `${operation}: cannot join the ${namespace} namespace of ${reference}: it does not run`,
    {
      operation,
    },
  );
}

function ownerOf(host: DockerHostConfig, mode: "networkMode" | "ipcMode" | "pidMode"): string | undefined {
  const value = host[mode] ?? "";
  return value.startsWith("container:") ? value.slice("container:".length) : undefined;
}

/** The containers that have joined a namespace of this one. */
export function joined(
  engine: MemoryEngine,
  owner: Container,
  mode: "networkMode" | "ipcMode" | "pidMode",
): Container[] {
  return [...engine.containers.values()].filter((other) => {
    const reference = ownerOf(other.host, mode);
    return reference !== undefined && engine.peek(reference) === owner;
  });
}

function makeNetwork(engine: MemoryEngine, host: DockerHostConfig): Surroundings {
  const mode = host.networkMode ?? "default";
  if (mode.startsWith("container:")) return { address: undefined, networkNamespacePath: undefined };
  const networkNamespacePath = `${namespaceFolder}/${mode === "host" ? "default" : randomId().slice(0, 12)}`;
  engine.host.tree.special(networkNamespacePath);
  const bridged = mode === "default" || mode === "bridge";
  return { address: bridged ? engine.addresses.take() : undefined, networkNamespacePath };
}

/** The network of a container: its own, the node's, or that of the container that it joins. */
export function networkOf(engine: MemoryEngine, { host }: Container): MemoryNamespaceNetwork {
  if (host.networkMode === "host") return engine.host.network.own;
  const owner = engine.peek(ownerOf(host, "networkMode") ?? "");
  return owner?.run?.process.network ?? new MemoryNamespaceNetwork();
}

/** Releases the resources of {@link beforeStart}. */
export function afterEnd(engine: MemoryEngine, { address, networkNamespacePath }: Surroundings): void {
  if (address !== undefined) engine.addresses.release(address);
  if (networkNamespacePath === undefined || networkNamespacePath.endsWith("/default")) return;
  engine.host.tree.removeAll(networkNamespacePath);
}

/** Docker rewrites these at each start, but only for a container with its own network. */
function writeEtc(engine: MemoryEngine, { config, host, folder }: Container): void {
  if (host.networkMode?.startsWith("container:")) return;
  const { tree } = engine.host;
  const servers = (host.dns ?? []).map((server) => `nameserver ${server}`);
  const search = host.dnsSearch?.length ? [`search ${host.dnsSearch.join(" ")}`] : [];
  const options = host.dnsOptions?.length ? [`options ${host.dnsOptions.join(" ")}`] : [];
  const lines = [...search, ...servers, ...options];
  const resolvConf = lines.length > 0 ? `${lines.join("\n")}\n` : tree.read("/etc/resolv.conf");
  const extra = (host.extraHosts ?? []).map((entry) => {
    const at = entry.indexOf(":");
    return `${entry.slice(at + 1)}\t${entry.slice(0, at)}\n`;
  });
  tree.replace(`${folder}/resolv.conf`, resolvConf, 0o644);
  tree.replace(`${folder}/hosts`, `127.0.0.1\tlocalhost\n${extra.join("")}`, 0o644);
  tree.replace(`${folder}/hostname`, `${config.hostname ?? ""}\n`, 0o644);
}
