import { ShimError } from "../../base/index.js";
import type { PodIdentity } from "../network.js";
import type { JsonObject } from "./json.js";
import { namePattern } from "./network-config.js";

/** One container's attachment to one network: the plugins' input beside the configuration. */
export interface Attachment {
  readonly containerId: string;
  readonly ifName: string;
  /** Empty when the namespace no longer exists. */
  readonly netns: string;
  /** `CNI_ARGS`. */
  readonly args: readonly CniArg[];
  /** Values for the capabilities that plugins may declare. */
  readonly capabilityArgs: JsonObject;
}

/** What all attachments of a pod have in common. */
export type PodAttachment = Omit<Attachment, "ifName">;

export type CniArg = readonly [key: string, value: string];

/** The pod's interface in its main network. */
export const podInterface = "eth0";

/** The interface of the loopback network. */
export const loopbackInterface = "lo";

/**
 * Validates `CNI_CONTAINERID`, which also becomes part of a file's name.
 * @throws ShimError "invalid-argument".
 * @see CNI SPEC, section 2, "Parameters"
 */
export function checkContainerId(id: string): void {
  if (id.length <= 100 && namePattern.test(id)) return;
  throw new ShimError(
    "invalid-argument",
    `sandbox id ${JSON.stringify(id.slice(0, 120))} cannot be passed to CNI plugins: it must consist of letters, digits, ` +
      '"_", "." and "-", start with a letter or digit, and have at most 100 characters',
    { operation: "network" },
  );
}

/**
 * The arguments that Kubernetes' network plugins expect.
 * @throws ShimError "invalid-argument" for a text that they cannot hold.
 */
export function podArgs(pod: PodIdentity): CniArg[] {
  const args = kubernetesArgs(pod);
  const wrong = args.find(([, value]) => !isArgText(value));
  if (!wrong) return args;
  throw new ShimError(
    "invalid-argument",
    `${wrong[0]} ${JSON.stringify(wrong[1].slice(0, 120))} cannot be passed to CNI plugins: ` +
      '";", "=" and control characters separate their arguments',
    { operation: "network" },
  );
}

/** The valid part of {@link podArgs}, to detach a pod whose name is not valid. */
export function possiblePodArgs(pod: PodIdentity): CniArg[] {
  return kubernetesArgs(pod).filter(([, value]) => isArgText(value));
}

function kubernetesArgs(pod: PodIdentity): CniArg[] {
  return [
    ["IgnoreUnknown", "1"],
    ["K8S_POD_NAMESPACE", pod.namespace],
    ["K8S_POD_NAME", pod.name],
    ["K8S_POD_INFRA_CONTAINER_ID", pod.id],
    ["K8S_POD_UID", pod.uid],
  ];
}

/** True for arguments that `CNI_ARGS` can represent. */
export function areArgs(args: readonly CniArg[]): boolean {
  return args.every(([key, value]) => key !== "" && isArgText(key) && isArgText(value));
}

/** The value of `CNI_ARGS`. */
export function formatArgs(args: readonly CniArg[]): string {
  return args.map(([key, value]) => `${key}=${value}`).join(";");
}

function isArgText(text: string): boolean {
  return !/[;=\p{Cc}]/u.test(text);
}
