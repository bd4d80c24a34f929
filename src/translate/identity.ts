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
import { metadataOf, type Metadata } from "./metadata.js";
import { parseContainerName, parseSandboxName } from "./names.js";
import { labelsOfOthers, labelsOfOurCreate } from "./own-labels.js";

type Labels = Readonly<Record<string, string>>;

interface IdentityBase {
  /** CRI's, exactly those of the request where our own create wrote them. */
  readonly labels: Labels;
  readonly annotations: Labels;
  /** Docker's labels as far as a shim wrote them. */
  readonly written: Labels;
  /** The pod it is, or belongs to. */
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
  /** Where the log goes; empty when none was asked for. */
  readonly logPath: string;
  /** The folder that the log lies in or below, where a label of ours tells it. */
  readonly logDirectory: string | undefined;
  /** The image as it was asked for; undefined where that is not known. */
  readonly image: ImageSpec | undefined;
}

/** What a container is to CRI. */
export type Identity = SandboxIdentity | WorkloadIdentity;

/**
 * Reads what a shim wrote of a container, and nothing that its image or `docker run -l` put beside it. A container of
 * our own is known by its labels, whatever it is called; one of cri-dockerd or of an earlier docker-cri by its name,
 * which no image can give, or, renamed, by labels that its image does not bring.
 * @param imageLabels Of its image; undefined while they are not known.
 * @returns Undefined when no shim made it.
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

/** What kubelet's own labels tell of a container whose name was changed. */
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
