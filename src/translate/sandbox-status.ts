import { create } from "@bufbuild/protobuf";
import { ShimError } from "../base/index.js";
import type { DockerContainer } from "../docker/index.js";
import {
  ContainerState,
  NamespaceMode,
  PodSandboxSchema,
  PodSandboxState,
  PodSandboxStatusSchema,
  type PodSandbox,
  type PodSandboxMetadata,
  type PodSandboxStatus,
} from "../gen/runtime/v1/api_pb.js";
import { quote } from "./checks.js";
import { containerState } from "./container-status.js";
import { timeNanos } from "./current.js";
import { readLabels } from "./labels.js";
import { parseSandboxName } from "./names.js";

export interface SandboxContext {
  /** The engine's default OCI runtime: a pod that uses it has the handler "". */
  readonly defaultRuntime?: string | undefined;
}

/** A sandbox as lists show it. */
export function toPodSandbox(docker: DockerContainer, context: SandboxContext = {}): PodSandbox {
  return create(PodSandboxSchema, common(docker, context));
}

/** A sandbox in full. @param context.ips The pod's own addresses, the primary one first. */
export function toPodSandboxStatus(
  docker: DockerContainer,
  context: SandboxContext & { readonly ips: readonly string[] },
): PodSandboxStatus {
  const [ip = "", ...more] = context.ips;
  return create(PodSandboxStatusSchema, {
    ...common(docker, context),
    network: { ip, additionalIps: more.map((other) => ({ ip: other })) },
    linux: { namespaces: { options: namespacesOf(docker) } },
  });
}

function common(docker: DockerContainer, { defaultRuntime }: SandboxContext) {
  const read = readLabels(docker.config.labels ?? {});
  const runtime = docker.host.runtime ?? "";
  return {
    id: docker.id,
    metadata: metadataOf(docker),
    state: isReady(docker) ? PodSandboxState.SANDBOX_READY : PodSandboxState.SANDBOX_NOTREADY,
    createdAt: timeNanos(docker.createdAtNanos ?? docker.state.startedAtNanos),
    labels: { ...read.labels },
    annotations: { ...read.annotations },
    runtimeHandler: runtime === defaultRuntime ? "" : runtime,
  };
}

function metadataOf(docker: DockerContainer): PodSandboxMetadata {
  const metadata = parseSandboxName(docker.name);
  if (metadata) return metadata;
  throw new ShimError(
    "internal",
    `sandbox ${docker.id} has the name ${quote(docker.name)}, which is not ours`,
  );
}

/**
 * Whether a sandbox holds its pod's namespaces: one that has ended and was started again (`docker restart`) has new
 * ones, without the pod's network and without its containers. It must be replaced.
 */
export function isReady(docker: DockerContainer): boolean {
  return (
    containerState(docker) === ContainerState.CONTAINER_RUNNING && docker.state.finishedAtNanos === undefined
  );
}

function namespacesOf({ host, config }: DockerContainer) {
  const { sharedPidNamespace } = readLabels(config.labels ?? {});
  const ofPod = (mode: string | undefined) => (mode === "host" ? NamespaceMode.NODE : NamespaceMode.POD);
  return {
    network: ofPod(host.networkMode),
    ipc: ofPod(host.ipcMode),
    pid: host.pidMode === "host" || sharedPidNamespace ? ofPod(host.pidMode) : NamespaceMode.CONTAINER,
  };
}

/** Details for people, under the key `info`. */
export function sandboxInfo(docker: DockerContainer): Record<string, string> {
  const { config, host, state } = docker;
  return {
    info: JSON.stringify({
      pid: state.pid ?? 0,
      dockerName: docker.name,
      dockerState: state.status,
      exitCode: state.exitCode,
      error: state.error,
      image: config.image,
      imageID: docker.imageId,
      hostname: config.hostname,
      runtime: host.runtime,
      cgroupParent: host.cgroupParent,
      networkNamespace: docker.networkNamespacePath,
      namespaces: { network: host.networkMode, pid: host.pidMode, ipc: host.ipcMode, uts: host.utsMode },
      resolvConfPath: docker.resolvConfPath,
      sysctls: host.sysctls ?? {},
      securityOpt: host.securityOpt ?? [],
    }),
  };
}
