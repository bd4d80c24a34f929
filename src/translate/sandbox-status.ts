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
  type PodSandboxStatus,
} from "../gen/runtime/v1/api_pb.js";
import { quote } from "./validation.js";
import { containerState } from "./container-status.js";
import { timeNanos } from "./status-fields.js";
import { identify, type Identity, type SandboxIdentity } from "./identity.js";

export interface SandboxContext {
  /** The engine's default OCI runtime: a pod that uses it has the handler "". */
  readonly defaultRuntime?: string | undefined;
  /** Absent: derived from the inspect result. */
  readonly identity?: Identity | undefined;
}

/** The message for ListPodSandbox. */
export function toPodSandbox(docker: DockerContainer, context: SandboxContext = {}): PodSandbox {
  return create(PodSandboxSchema, common(docker, context));
}

/** The message for PodSandboxStatus. @param context.ips The pod's own addresses, the primary one first. */
export function toPodSandboxStatus(
  docker: DockerContainer,
  context: SandboxContext & { readonly ips: readonly string[] },
): PodSandboxStatus {
  const [ip = "", ...more] = context.ips;
  const { sharedPidNamespace } = sandboxOf(docker, context);
  return create(PodSandboxStatusSchema, {
    ...common(docker, context),
    network: { ip, additionalIps: more.map((other) => ({ ip: other })) },
    linux: { namespaces: { options: namespacesOf(docker, sharedPidNamespace) } },
  });
}

function common(docker: DockerContainer, context: SandboxContext) {
  const { pod, labels, annotations } = sandboxOf(docker, context);
  const runtime = docker.host.runtime ?? "";
  return {
    id: docker.id,
    metadata: pod,
    state: isReady(docker) ? PodSandboxState.SANDBOX_READY : PodSandboxState.SANDBOX_NOTREADY,
    createdAt: timeNanos(docker.createdAtNanos ?? docker.state.startedAtNanos),
    labels: { ...labels },
    annotations: { ...annotations },
    runtimeHandler: runtime === context.defaultRuntime ? "" : runtime,
  };
}

function sandboxOf(
  docker: DockerContainer,
  { identity = identify(docker) }: SandboxContext,
): SandboxIdentity {
  if (identity?.kind === "sandbox") return identity;
  throw new ShimError(
    "internal",
    `sandbox ${docker.id} has the name ${quote(docker.name)} and labels that no pod has`,
  );
}

/**
 * Whether a sandbox runs with its original namespaces. A sandbox that was restarted (`docker restart`) has new ones,
 * without the pod's network and containers, and must be replaced.
 */
export function isReady(docker: DockerContainer): boolean {
  return (
    containerState(docker) === ContainerState.CONTAINER_RUNNING && docker.state.finishedAtNanos === undefined
  );
}

function namespacesOf({ host }: DockerContainer, sharedPidNamespace: boolean) {
  const ofPod = (mode: string | undefined) => (mode === "host" ? NamespaceMode.NODE : NamespaceMode.POD);
  return {
    network: ofPod(host.networkMode),
    ipc: ofPod(host.ipcMode),
    pid: host.pidMode === "host" || sharedPidNamespace ? ofPod(host.pidMode) : NamespaceMode.CONTAINER,
  };
}

/** Verbose details under the key `info`. */
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
