import { invalid } from "./validation.js";
import { ShimError } from "../base/index.js";
import type { DockerContainer, DockerContainerSpec } from "../docker/index.js";

type Labels = Readonly<Record<string, string>>;

/**
 * Lists the label keys that this shim wrote: `{"image":"sha256:…","keys":[…]}`. Docker merges an image's labels into
 * those of its containers, so a forged marker could come from the image. But an image ID is a hash over the image's
 * labels, so no image can contain its own ID: the marker is genuine if it names the image of the container.
 */
export const ownLabelsLabel = "io.kubernetes.docker.own-labels";

/** An image with the labels of its inspect result. */
export interface LabelledImage {
  readonly id: string;
  readonly labels: Labels;
}

/**
 * Limit of the labels, annotations and names of one container. Kubernetes allows 256 KiB of annotations. The kubelet's
 * limit of a whole response is 16 MiB.
 */
const largestOwnBytes = 512 * 1024;
/** Larger labels of an image are emptied in its containers, to keep Docker's lists small. */
const largestForeignBytes = 64 * 1024;
/** Prefixes that cri-dockerd and other readers trust. */
const reservedPrefixes = ["annotation.", "io.kubernetes."];

/**
 * Pins the spec to the inspected image ID, adds the marker label, and neutralizes labels of the image. An image label
 * cannot be removed, only overridden: labels with a reserved key get an empty value, or all labels if they are large.
 * @throws ShimError "invalid-argument" when the caller's labels are too large; "failed-precondition" when the image's
 *   label keys are.
 */
export function withOwnLabels(spec: DockerContainerSpec, image: LabelledImage): DockerContainerSpec {
  const own = spec.config.labels ?? {};
  const marker = JSON.stringify({ image: image.id, keys: Object.keys(own) });
  const ownBytes = sizeOf(own) + Buffer.byteLength(marker);
  if (ownBytes > largestOwnBytes) {
    throw invalid(
      "config",
      `has labels, annotations and names that take ${ownBytes} bytes as labels of Docker: at most ${largestOwnBytes} are allowed`,
    );
  }
  const labels = { ...emptied(own, image), ...own, [ownLabelsLabel]: marker };
  return { ...spec, config: { ...spec.config, image: image.id, labels } };
}

function emptied(own: Labels, { id, labels }: LabelledImage): Record<string, string> {
  const foreign = Object.entries(labels).filter(
    ([key]) => !Object.hasOwn(own, key) && key !== ownLabelsLabel,
  );
  const keys = foreign.map(([key]) => key);
  const keyBytes = keys.reduce((sum, key) => sum + Buffer.byteLength(key), 0);
  if (keyBytes > largestForeignBytes) {
    throw new ShimError(
      "failed-precondition",
      `the image ${id} has label keys of ${keyBytes} bytes in total, which Docker copies into every container: ` +
        `at most ${largestForeignBytes} are allowed; build the image with fewer labels`,
    );
  }
  const tooLarge = sizeOf(Object.fromEntries(foreign)) > largestForeignBytes;
  const isReserved = (key: string) => reservedPrefixes.some((prefix) => key.startsWith(prefix));
  return Object.fromEntries(keys.filter((key) => tooLarge || isReserved(key)).map((key) => [key, ""]));
}

/** The labels that this shim wrote; undefined for a container of cri-dockerd or an earlier docker-cri. */
export function labelsOfOurCreate({ config, imageId }: DockerContainer): Labels | undefined {
  const labels = config.labels ?? {};
  const marker = readMarker(labels[ownLabelsLabel]);
  if (!marker || imageId === undefined || marker.image !== imageId) return undefined;
  const keys = new Set(marker.keys);
  return Object.fromEntries(Object.entries(labels).filter(([key]) => keys.has(key)));
}

/**
 * The labels of a container without the marker, minus those that equal a label of its image. Labels that cri-dockerd
 * writes to every container are kept: an image made by `docker commit` has them too.
 * @param imageLabels Undefined if the image is unknown.
 */
export function labelsOfOthers(labels: Labels, imageLabels: Labels | undefined): Labels {
  if (!imageLabels) return labels;
  const isOwn = ([key, value]: [string, string]) => imageLabels[key] !== value || alwaysWritten.has(key);
  return Object.fromEntries(Object.entries(labels).filter(isOwn));
}

const alwaysWritten = new Set([
  "io.kubernetes.docker.type",
  "io.kubernetes.sandbox.id",
  "io.kubernetes.container.logpath",
  ...["container.name", "pod.name", "pod.namespace", "pod.uid"].map((key) => `io.kubernetes.${key}`),
  ...["hash", "restartCount", "terminationMessagePath", "terminationMessagePolicy"].map(
    (key) => `annotation.io.kubernetes.container.${key}`,
  ),
]);

function readMarker(text: string | undefined): { image: string; keys: readonly string[] } | undefined {
  if (text === undefined) return undefined;
  try {
    const { image, keys } = JSON.parse(text) as { readonly image?: unknown; readonly keys?: unknown };
    if (typeof image !== "string" || !Array.isArray(keys)) return undefined;
    return { image, keys: keys.filter((key) => typeof key === "string") };
  } catch {
    return undefined;
  }
}

function sizeOf(labels: Labels): number {
  return Object.entries(labels).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  );
}
