import { NamespaceMode, type ContainerConfig, type PodSandboxConfig } from "../gen/runtime/v1/api_pb.js";
import { imageVolumesLabel, imageVolumesLabels, type ExportedImages } from "./image-volumes.js";
import { resolveLogPath } from "./log-path.js";
import { metadataLabel, metadataLabels } from "./metadata.js";
import { ownLabelsLabel } from "./own-labels.js";

/** `podsandbox` or `container`: what tells our containers from everybody else's. */
export const typeLabel = "io.kubernetes.docker.type";
/** On containers: the id of their sandbox, as the request gave it. */
export const sandboxIdLabel = "io.kubernetes.sandbox.id";
/** On containers: the absolute path of the log, or empty. */
export const logPathLabel = "io.kubernetes.container.logpath";
/** On containers with a log: the pod's log directory, below which the log's writer follows no link. */
export const logDirectoryLabel = "io.kubernetes.docker.log-directory";
/** On sandboxes: always `POD`. */
export const containerNameLabel = "io.kubernetes.container.name";
/** On sandboxes whose containers share one PID namespace: `pod`. Docker's own answer does not tell. */
export const pidNamespaceLabel = "io.kubernetes.docker.pid-namespace";
/** Before the key of an annotation: Docker has labels only. */
export const annotationPrefix = "annotation.";
/** Before the key of a caller's label that would be read back as something else. */
export const callerLabelPrefix = "io.kubernetes.docker.label.";

const sandboxContainerName = "POD";
const types = { sandbox: "podsandbox", container: "container" } as const;

type Labels = Readonly<Record<string, string>>;

/** What labels say that a CRI shim wrote. */
export interface ReadLabels {
  /** Undefined: not those of a pod or its container. */
  readonly kind: "sandbox" | "container" | undefined;
  /** CRI's labels, without the shim's own. */
  readonly labels: Labels;
  readonly annotations: Labels;
  /** Of containers. */
  readonly sandboxId?: string;
  /** Of containers: where the log goes; empty when none was asked for. */
  readonly logPath?: string;
  /** Of containers with a log that we made: the folder that the log lies in or below. */
  readonly logDirectory?: string;
  /** Of sandboxes: the containers share one PID namespace. */
  readonly sharedPidNamespace: boolean;
}

/** The Docker labels of a sandbox: the caller's labels and annotations, and the shim's own. @see withOwnLabels */
export function sandboxLabels(config: PodSandboxConfig): Record<string, string> {
  const pid = config.linux?.securityContext?.namespaceOptions?.pid ?? NamespaceMode.POD;
  return merge(config, {
    [typeLabel]: types.sandbox,
    [containerNameLabel]: sandboxContainerName,
    ...metadataLabels({ pod: config.metadata }),
    ...(pid === NamespaceMode.POD ? { [pidNamespaceLabel]: "pod" } : {}),
  });
}

/**
 * The Docker labels of a container.
 * @param exported Images that it sees by way of the node's folders.
 * @throws ShimError "invalid-argument" when the log path leads out of the pod's log folder.
 */
export function containerLabels(
  config: ContainerConfig,
  sandboxConfig: PodSandboxConfig,
  sandboxId: string,
  exported: ExportedImages = new Map(),
): Record<string, string> {
  const log = resolveLogPath(sandboxConfig.logDirectory, config.logPath);
  return merge(config, {
    [typeLabel]: types.container,
    [logPathLabel]: log?.path ?? "",
    ...(log ? { [logDirectoryLabel]: log.root } : {}),
    [sandboxIdLabel]: sandboxId,
    ...metadataLabels({ pod: sandboxConfig.metadata, container: config.metadata, image: config.image }),
    ...imageVolumesLabels(config.mounts, exported),
  });
}

/** Takes the labels apart again that a shim has written, without what an image may have added. */
export function readLabels(dockerLabels: Labels): ReadLabels {
  const type = dockerLabels[typeLabel];
  const kind = type === types.sandbox ? "sandbox" : type === types.container ? "container" : undefined;
  const labels: [string, string][] = [];
  const annotations: [string, string][] = [];
  for (const [key, value] of Object.entries(dockerLabels)) {
    if (key.startsWith(annotationPrefix)) annotations.push([key.slice(annotationPrefix.length), value]);
    else if (key.startsWith(callerLabelPrefix)) labels.push([key.slice(callerLabelPrefix.length), value]);
    else if (!isOwn(key, kind)) labels.push([key, value]);
  }
  const ofContainer = kind === "container";
  const sandboxId = dockerLabels[sandboxIdLabel];
  const path = dockerLabels[logPathLabel];
  const directory = dockerLabels[logDirectoryLabel];
  return {
    kind,
    labels: Object.fromEntries(labels),
    annotations: Object.fromEntries(annotations),
    ...(ofContainer && sandboxId !== undefined ? { sandboxId } : {}),
    ...(ofContainer && path !== undefined ? { logPath: path } : {}),
    // Where a label's origin is not known, an image may have brought it.
    ...(ofContainer && directory && path?.startsWith(`${directory}/`) ? { logDirectory: directory } : {}),
    sharedPidNamespace: kind === "sandbox" && dockerLabels[pidNamespaceLabel] === "pod",
  };
}

function isOwn(key: string, kind: ReadLabels["kind"]): boolean {
  switch (key) {
    case typeLabel:
    case sandboxIdLabel:
    case logPathLabel:
    case logDirectoryLabel:
    case pidNamespaceLabel:
    case imageVolumesLabel:
    case metadataLabel:
    case ownLabelsLabel:
      return true;
    case containerNameLabel:
      return kind === "sandbox";
    default:
      return false;
  }
}

function merge(config: { labels: Labels; annotations: Labels }, own: Labels): Record<string, string> {
  return Object.fromEntries([
    ...Object.entries(config.labels).map(([key, value]) => [dockerKey(key, own), value] as const),
    ...Object.entries(config.annotations).map(([key, value]) => [annotationPrefix + key, value] as const),
    ...Object.entries(own),
  ]);
}

/** A label that would come back as an annotation, or not at all, stands under a key of its own. */
function dockerKey(key: string, own: Labels): string {
  const misread =
    key.startsWith(annotationPrefix) ||
    key.startsWith(callerLabelPrefix) ||
    Object.hasOwn(own, key) ||
    isOwn(key, undefined);
  return misread ? callerLabelPrefix + key : key;
}
