import type { DockerHostConfig } from "../docker/index.js";
import { NamespaceMode, type NamespaceOption } from "../gen/runtime/v1/api_pb.js";
import { invalid, quote, unsupported } from "./checks.js";
import type { EngineEnvironment } from "./environment.js";

type Namespaces = Pick<DockerHostConfig, "networkMode" | "ipcMode" | "pidMode" | "utsMode">;

const { POD, CONTAINER, NODE, TARGET } = NamespaceMode;

/**
 * The namespaces of a sandbox: those that its containers join must be shareable.
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

/** What a container's namespaces depend on beside its own options. */
export interface PodNamespaces {
  readonly sandboxId: string;
  /** The sandbox is on the node's network. */
  readonly hostNetwork: boolean;
  /** The sandbox's options, which hold where the container has none. */
  readonly ofSandbox: NamespaceOption | undefined;
  /** The full id of the container that target_id names, once it is known to be in the same pod. */
  readonly pidTargetId: string | undefined;
}

/**
 * The namespaces of a container. Network and IPC are the sandbox's, always.
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
    // Docker gives the host name of the sandbox's network along, except for that of the node.
    ...(pod.hostNetwork ? { utsMode: "host" } : {}),
  };
}

/**
 * The user namespace of every pod is the node's: Docker has none for a single pod. Under dockerd's `userns-remap` it
 * must be asked for; in the remapped one host namespaces are refused and root's volumes unreadable.
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
  throw unsupported(field, "is POD, but Docker has no user namespace for a single pod: set hostUsers: true");
}

function beyondSandbox(name: string) {
  return invalid(fieldOf(name), "is NODE, but the sandbox that the container joins has its own");
}

function fieldOf(name: string): string {
  return `security_context.namespace_options.${name}`;
}
