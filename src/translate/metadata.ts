import { create } from "@bufbuild/protobuf";
import {
  ContainerMetadataSchema,
  ImageSpecSchema,
  PodSandboxMetadataSchema,
  type ContainerMetadata,
  type ImageSpec,
  type PodSandboxMetadata,
} from "../gen/runtime/v1/api_pb.js";

/** The names as the request gave them: Docker's own name of a container can be changed, and cannot hold them all. */
export const metadataLabel = "io.kubernetes.docker.metadata";

/** Of a sandbox its pod; of a container also itself, and its image as it was asked for. */
export interface Metadata {
  readonly pod: PodSandboxMetadata | undefined;
  readonly container?: ContainerMetadata | undefined;
  readonly image?: ImageSpec | undefined;
}

/** The label; none for a configuration without metadata. */
export function metadataLabels({ pod, container, image }: Metadata): Readonly<Record<string, string>> {
  if (!pod) return {};
  const text = JSON.stringify({
    pod: { name: pod.name, namespace: pod.namespace, uid: pod.uid, attempt: pod.attempt },
    container: container && { name: container.name, attempt: container.attempt },
    image: image && { image: image.image, userSpecifiedImage: image.userSpecifiedImage || undefined },
  });
  return { [metadataLabel]: text };
}

/** Reads the label back. @param labels Those that our own create wrote. */
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
