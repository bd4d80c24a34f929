import type { DockerHostConfig } from "../docker/index.js";
import { NamespaceMode, type NamespaceOption } from "../gen/runtime/v1/api_pb.js";
import { invalid, quote, unsupported } from "./validation.js";
import type { EngineEnvironment } from "./environment.js";

type Namespaces = Pick<DockerHostConfig, "networkMode" | "ipcMode" | "pidMode" | "utsMode">;

const { POD, CONTAINER, NODE, TARGET } = NamespaceMode;

/**
 * The namespaces of a sandbox. IPC is shareable, so that containers can join it.
 * @throws ShimError "invalid-argument"; "unsupported" for a user namespace.
 */
export function sandboxNamespaces(
  options: NamespaceOption | undefined,
  networkMode: "none" | "default",
): Namespaces {
  checkUserNamespace(options);
  const { network = POD, ipc = POD, pid = POD } = options ?? {};
  checkPodOrNode(network, "network");
  checkPodOrNode(ipc, "ipc");
  if (pid === TARGET) throw invalid(fieldOf("pid"), "is TARGET, which only a container can have");
  return {
    networkMode: network === NODE ? "host" : networkMode,
    ipcMode: ipc === NODE ? "host" : "shareable",
    ...(pid === NODE ? { pidMode: "host" } : {}),
  };
}

/** The facts of the pod that a container's namespaces depend on. */
export interface PodNamespaces {
  readonly sandboxId: string;
  /** The sandbox uses the node's network namespace. */
  readonly hostNetwork: boolean;
  /** The sandbox's options, the default for a container without options. */
  readonly ofSandbox: NamespaceOption | undefined;
  /** The full id of the container that target_id names, if it is in the same pod. */
  readonly pidTargetId: string | undefined;
}

/**
 * The namespaces of a container. Network and IPC are always the sandbox's.
 * @throws ShimError "invalid-argument" for a namespace that the sandbox does not have; "unsupported" for a
 *   user namespace.
 */
export function containerNamespaces(own: NamespaceOption | undefined, pod: PodNamespaces): Namespaces {
  checkUserNamespace(own);
  const { network = POD, ipc = POD, pid = POD, targetId = "" } = own ?? pod.ofSandbox ?? {};
  checkPodOrNode(network, "network");
  checkPodOrNode(ipc, "ipc");
  if (own && network === NODE && !pod.hostNetwork) throw beyondSandbox("network");
  if (own && ipc === NODE && pod.ofSandbox?.ipc !== NODE) throw beyondSandbox("ipc");
  const joined = `container:${pod.sandboxId}`;
  return {
    networkMode: joined,
    ipcMode: joined,
    ...pidNamespace(pid, targetId, pod),
    // Joining the sandbox's network also shares its host name, except with the host network.
    ...(pod.hostNetwork ? { utsMode: "host" } : {}),
  };
}

/**
 * Pods use the node's user namespace, because Docker has no user namespace per pod. With dockerd's `userns-remap` that is
 * explicit: in the remapped namespace Docker rejects host namespaces, and volumes of root are unreadable.
 */
export function userNamespace({ usernsRemapped }: EngineEnvironment): Pick<DockerHostConfig, "usernsMode"> {
  return usernsRemapped ? { usernsMode: "host" } : {};
}

function pidNamespace(pid: NamespaceMode, targetId: string, pod: PodNamespaces): Namespaces {
  switch (pid) {
    case CONTAINER:
      return {};
    case POD:
      return { pidMode: `container:${pod.sandboxId}` };
    case NODE:
      return { pidMode: "host" };
    case TARGET:
      if (pod.pidTargetId !== undefined) return { pidMode: `container:${pod.pidTargetId}` };
      throw invalid(fieldOf("target_id"), `names no container of the pod: ${quote(targetId)}`);
  }
}

function checkPodOrNode(mode: NamespaceMode, name: string): void {
  if (mode !== POD && mode !== NODE) throw invalid(fieldOf(name), "must be POD or NODE");
}

function checkUserNamespace(options: NamespaceOption | undefined): void {
  const mode = options?.usernsOptions?.mode;
  if (mode === undefined || mode === NODE) return;
  const field = fieldOf("userns_options.mode");
  if (mode !== POD) throw invalid(field, "must be POD or NODE");
  throw unsupported(field, "is POD, but Docker has no user namespace per pod: set hostUsers: true");
}

function beyondSandbox(name: string) {
  return invalid(fieldOf(name), "is NODE, but the sandbox that the container joins has its own");
}

function fieldOf(name: string): string {
  return `security_context.namespace_options.${name}`;
}
