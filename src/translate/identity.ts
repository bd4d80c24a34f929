import { create } from "@bufbuild/protobuf";
import type { DockerContainer } from "../docker/index.js";
import {
  ContainerMetadataSchema,
  PodSandboxMetadataSchema,
  type ContainerMetadata,
  type ImageSpec,
  type PodSandboxMetadata,
} from "../gen/runtime/v1/api_pb.js";
import { readLabels, typeLabel, type ReadLabels } from "./labels.js";
import { metadataOf, type Metadata } from "./metadata-label.js";
import { parseContainerName, parseSandboxName } from "./names.js";
import { labelsOfOthers, labelsOfOurCreate } from "./own-labels.js";

type Labels = Readonly<Record<string, string>>;

interface IdentityBase {
  /** The CRI labels. Identical to the request's if this shim created the container. */
  readonly labels: Labels;
  readonly annotations: Labels;
  /** The Docker labels that a shim wrote. */
  readonly written: Labels;
  /** The pod of the sandbox or container. */
  readonly pod: PodSandboxMetadata;
}

export interface SandboxIdentity extends IdentityBase {
  readonly kind: "sandbox";
  /** The containers share one PID namespace. */
  readonly sharedPidNamespace: boolean;
}

export interface WorkloadIdentity extends IdentityBase {
  readonly kind: "container";
  readonly container: ContainerMetadata;
  readonly sandboxId: string;
  /** The absolute path of the log. Empty: no log. */
  readonly logPath: string;
  /** The pod's log directory, if a label of this shim has it. */
  readonly logDirectory: string | undefined;
  /** The image as requested; undefined if unknown. */
  readonly image: ImageSpec | undefined;
}

/** A Docker container as a CRI object. */
export type Identity = SandboxIdentity | WorkloadIdentity;

/**
 * Reads the metadata that a shim wrote, ignoring labels of the image or of `docker run -l`. Containers of this shim are
 * identified by their labels. Containers of cri-dockerd or an earlier docker-cri are identified by their name, which an
 * image cannot set, or after a rename by labels that their image does not have.
 * @param imageLabels The labels of the image; undefined if unknown.
 * @returns Undefined for a container that no shim created.
 */
export function identify(docker: DockerContainer, imageLabels?: Labels): Identity | undefined {
  const ours = labelsOfOurCreate(docker);
  const written = ours ?? labelsOfOthers(docker.config.labels ?? {}, imageLabels);
  const read = readLabels(written);
  const { labels, annotations, kind } = read;
  if (kind === undefined) return undefined;
  const mayTrust = imageLabels !== undefined && !Object.hasOwn(imageLabels, typeLabel);
  const metadata =
    (ours && metadataOf(ours)) ?? fromName(docker.name, kind) ?? (mayTrust ? fromLabels(read) : undefined);
  if (!metadata?.pod) return undefined;
  const base = { labels, annotations, written, pod: metadata.pod };
  if (kind === "sandbox") return { ...base, kind, sharedPidNamespace: read.sharedPidNamespace };
  return (
    metadata.container && {
      ...base,
      kind,
      container: metadata.container,
      sandboxId: read.sandboxId ?? "",
      logPath: read.logPath ?? "",
      logDirectory: read.logDirectory,
      image: metadata.image,
    }
  );
}

function fromName(name: string, kind: "sandbox" | "container"): Metadata | undefined {
  if (kind === "container") return parseContainerName(name);
  const pod = parseSandboxName(name);
  return pod && { pod };
}

/** The metadata in kubelet's own labels, for a renamed container. */
function fromLabels({ kind, labels, annotations }: ReadLabels): Metadata | undefined {
  const of = (key: string) => labels[`io.kubernetes.${key}`] ?? "";
  const pod = create(PodSandboxMetadataSchema, {
    name: of("pod.name"),
    namespace: of("pod.namespace"),
    uid: of("pod.uid"),
  });
  if (pod.name === "") return undefined;
  if (kind === "sandbox") return { pod };
  const attempt = Number(annotations["io.kubernetes.container.restartCount"] ?? 0);
  const container = create(ContainerMetadataSchema, {
    name: of("container.name"),
    attempt: Number.isInteger(attempt) && attempt >= 0 && attempt <= 0xffff_ffff ? attempt : 0,
  });
  return container.name === "" ? undefined : { pod, container };
}
