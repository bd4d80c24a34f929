import { NamespaceMode, type ContainerConfig, type PodSandboxConfig } from "../gen/runtime/v1/api_pb.js";
import { imageVolumesLabel, imageVolumesLabels, type ExportedImages } from "./exported-images.js";
import { resolveLogPath } from "./log-path.js";
import { metadataLabel, metadataLabels } from "./metadata-label.js";
import { ownLabelsLabel } from "./own-labels.js";

/** `podsandbox` or `container`: marks the containers of a CRI shim. */
export const typeLabel = "io.kubernetes.docker.type";
/** On containers: the sandbox ID of the request. */
export const sandboxIdLabel = "io.kubernetes.sandbox.id";
/** On containers: the absolute log path, or empty. */
export const logPathLabel = "io.kubernetes.container.logpath";
/** On containers with a log: the pod's log directory. The log writer follows no symlinks below it. */
export const logDirectoryLabel = "io.kubernetes.docker.log-directory";
/** On sandboxes: always `POD`. */
export const containerNameLabel = "io.kubernetes.container.name";
/** On sandboxes whose containers share a PID namespace: `pod`. An inspect result does not show it. */
export const pidNamespaceLabel = "io.kubernetes.docker.pid-namespace";
/** Key prefix of annotations, because Docker has only labels. */
export const annotationPrefix = "annotation.";
/** Key prefix of caller labels whose own key is reserved. */
export const callerLabelPrefix = "io.kubernetes.docker.label.";

const sandboxContainerName = "POD";
const types = { sandbox: "podsandbox", container: "container" } as const;

type Labels = Readonly<Record<string, string>>;

/** The parsed labels of a sandbox or container. */
export interface ReadLabels {
  /** Undefined: not a sandbox or container of a shim. */
  readonly kind: "sandbox" | "container" | undefined;
  /** The caller's labels, without the shim's. */
  readonly labels: Labels;
  readonly annotations: Labels;
  /** Of containers. */
  readonly sandboxId?: string;
  /** Of containers: the log path; empty: no log. */
  readonly logPath?: string;
  /** Of containers of this shim with a log: the pod's log directory. */
  readonly logDirectory?: string;
  /** Of sandboxes: the containers share a PID namespace. */
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
 * @param exported The unpacked images among its mounts.
 * @throws ShimError "invalid-argument" when the log path is not inside the pod's log directory.
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

/** Parses the labels that a shim has written. @param dockerLabels Without the labels of the image. */
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
    // Without the own-labels marker the label may come from the image.
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

/** Prefixes a caller's label whose key is reserved, so that it is read back as the same label. */
function dockerKey(key: string, own: Labels): string {
  const misread =
    key.startsWith(annotationPrefix) ||
    key.startsWith(callerLabelPrefix) ||
    Object.hasOwn(own, key) ||
    isOwn(key, undefined);
  return misread ? callerLabelPrefix + key : key;
}
