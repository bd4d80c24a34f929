import { create } from "@bufbuild/protobuf";
import {
  ContainerMetadataSchema,
  ImageSpecSchema,
  PodSandboxMetadataSchema,
  type ContainerMetadata,
  type ImageSpec,
  type PodSandboxMetadata,
} from "../gen/runtime/v1/api_pb.js";

/** Label with the request's names. The Docker name can be changed by a rename, and cannot contain all characters. */
export const metadataLabel = "io.kubernetes.docker.metadata";

/** The metadata of a sandbox or a container. Container and image are set for containers only. */
export interface Metadata {
  readonly pod: PodSandboxMetadata | undefined;
  readonly container?: ContainerMetadata | undefined;
  /** The image as requested. */
  readonly image?: ImageSpec | undefined;
}

/** The label. Empty without pod metadata. */
export function metadataLabels({ pod, container, image }: Metadata): Readonly<Record<string, string>> {
  if (!pod) return {};
  const text = JSON.stringify({
    pod: { name: pod.name, namespace: pod.namespace, uid: pod.uid, attempt: pod.attempt },
    container: container && { name: container.name, attempt: container.attempt },
    image: image && { image: image.image, userSpecifiedImage: image.userSpecifiedImage || undefined },
  });
  return { [metadataLabel]: text };
}

/** Parses the label. @param labels Labels that this shim wrote. */
export function metadataOf(labels: Readonly<Record<string, string>>): Metadata | undefined {
  const text = labels[metadataLabel];
  if (text === undefined) return undefined;
  const { pod, container, image } = JSON.parse(text) as Metadata;
  return {
    pod: pod && create(PodSandboxMetadataSchema, pod),
    container: container && create(ContainerMetadataSchema, container),
    image: image && create(ImageSpecSchema, image),
  };
}
