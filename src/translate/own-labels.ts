import { invalid } from "./checks.js";
import { ShimError } from "../base/index.js";
import type { DockerContainer, DockerContainerSpec } from "../docker/index.js";

type Labels = Readonly<Record<string, string>>;

/**
 * Which of a container's labels its create wrote, and from which image: `{"image":"sha256:…","keys":[…]}`. Docker
 * merges an image's labels into its containers', and this one too could come from there. But an image's id is a hash
 * over its labels, so no image can hold its own id: the label is ours if it names the image of the container.
 */
export const ownLabelsLabel = "io.kubernetes.docker.own-labels";

/** An image with its labels, as its inspect told. */
export interface LabelledImage {
  readonly id: string;
  readonly labels: Labels;
}

/**
 * What a caller may store with one container. Kubernetes allows 256 KiB of annotations; a list with one container of
 * this size stays far below the 16 MiB that a kubelet reads.
 */
const largestOwnBytes = 512 * 1024;
/** An image's labels beyond this are not copied into each of its containers: Docker's own lists would grow by them. */
const largestForeignBytes = 64 * 1024;
/** Prefixes that cri-dockerd and others read as Kubernetes' own word. */
const reservedPrefixes = ["annotation.", "io.kubernetes."];

/**
 * The spec with the image pinned to the one that was looked at, and with labels that can be told from those of the
 * image. An image's label cannot be left out, only overridden: those with a reserved key get an empty value, and so do
 * all when they are many.
 * @throws ShimError "invalid-argument" when the caller's labels are too large; "failed-precondition" when the keys of
 *   the image's are.
 */
export function withOwnLabels(spec: DockerContainerSpec, image: LabelledImage): DockerContainerSpec {
  const own = spec.config.labels ?? {};
  const marker = JSON.stringify({ image: image.id, keys: Object.keys(own) });
  const ownBytes = sizeOf(own) + Buffer.byteLength(marker);
  if (ownBytes > largestOwnBytes) {
    throw invalid(
      "config",
      `has labels, annotations and names that take ${ownBytes} bytes as labels of Docker: at most ${largestOwnBytes} are kept, so that lists of all containers can be sent`,
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
      `the image ${id} has labels whose names take ${keyBytes} bytes, and Docker copies them into every container: ` +
        `at most ${largestForeignBytes} are taken; build the image with fewer labels`,
    );
  }
  const tooLarge = sizeOf(Object.fromEntries(foreign)) > largestForeignBytes;
  const isReserved = (key: string) => reservedPrefixes.some((prefix) => key.startsWith(prefix));
  return Object.fromEntries(keys.filter((key) => tooLarge || isReserved(key)).map((key) => [key, ""]));
}

/** The labels that our create wrote; undefined for a container that cri-dockerd or an earlier docker-cri made. */
export function labelsOfOurCreate({ config, imageId }: DockerContainer): Labels | undefined {
  const labels = config.labels ?? {};
  const marker = readMarker(labels[ownLabelsLabel]);
  if (!marker || imageId === undefined || marker.image !== imageId) return undefined;
  const keys = new Set(marker.keys);
  return Object.fromEntries(Object.entries(labels).filter(([key]) => keys.has(key)));
}

/**
 * The labels of a container that says nothing of their origin, without those that its image brings just so. Labels
 * that every such container has are kept: an image made by `docker commit` brings them as well.
 * @param imageLabels Undefined while the image is not known.
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
