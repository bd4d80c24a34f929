import { createHash, randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import {
  ContainerMetadataSchema,
  PodSandboxMetadataSchema,
  type ContainerMetadata,
  type PodSandboxMetadata,
} from "../gen/runtime/v1/api_pb.js";
import { invalid } from "./validation.js";

const prefix = "k8s";
const sandboxPart = "POD";
const separator = "_";
const largestAttempt = 0xffff_ffff;
/** The names of Kubernetes, and longer ones. */
const ordinaryPart = /^[a-zA-Z0-9.-]{1,253}$/;
const readableLength = 40;
/** Kubernetes allows 253; a name is hashed in each call. */
const maxPartLength = 4096;

/**
 * The Docker name of a sandbox: `k8s_POD_<name>_<namespace>_<uid>_<attempt>`. It is deterministic, so Docker rejects a
 * second sandbox of the same pod.
 * @throws ShimError "invalid-argument" when a part is missing or has more than 4096 characters.
 */
export function sandboxName(metadata: PodSandboxMetadata): string {
  checkPod(metadata);
  return dockerName(metadata);
}

/**
 * The Docker name of a container: `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`.
 * @throws ShimError "invalid-argument" when a part is missing or has more than 4096 characters.
 */
export function containerName(pod: PodSandboxMetadata, container: ContainerMetadata): string {
  requirePart(container.name, "config.metadata.name");
  checkPod(pod);
  return dockerName(pod, container);
}

/** The Docker name of a pod's sandbox, or of one of its containers. */
export function dockerName(pod: PodSandboxMetadata, container?: ContainerMetadata): string {
  const { name, namespace, uid } = pod;
  const parts = [name, namespace, uid, String((container ?? pod).attempt)];
  if (!container) return join(sandboxPart, parts);
  // The plain name would be the sandbox's.
  const isSandboxName = container.name === sandboxPart;
  return isSandboxName ? encoded(sandboxPart, [...parts, "container"]) : join(container.name, parts);
}

/** Appends eight random hex digits, for a name that Docker reserves for a container that no longer exists. */
export function withRandomSuffix(name: string): string {
  return `${name}${separator}${randomBytes(4).toString("hex")}`;
}

/** Parses the pod from a sandbox name; undefined for a name of another form. */
export function parseSandboxName(name: string): PodSandboxMetadata | undefined {
  const parts = parse(name);
  return parts && create(PodSandboxMetadataSchema, { ...parts.pod, attempt: parts.attempt });
}

/**
 * Parses container and pod from a container name; undefined for a name of another form. The attempt is the container's;
 * the pod's attempt is 0.
 */
export function parseContainerName(
  name: string,
): { container: ContainerMetadata; pod: PodSandboxMetadata } | undefined {
  const parts = parse(name);
  return (
    parts && {
      container: create(ContainerMetadataSchema, { name: parts.container, attempt: parts.attempt }),
      pod: create(PodSandboxMetadataSchema, parts.pod),
    }
  );
}

function checkPod({ name, namespace, uid }: PodSandboxMetadata): void {
  requirePart(name, "metadata.name of the pod");
  requirePart(namespace, "metadata.namespace of the pod");
  requirePart(uid, "metadata.uid of the pod");
}

function requirePart(text: string, field: string): void {
  if (text === "") throw invalid(field, "is missing");
  if (text.length > maxPartLength)
    throw invalid(field, `has ${text.length} characters, but at most ${maxPartLength} are allowed`);
}

function join(first: string, others: readonly string[]): string {
  const parts = [first, ...others];
  if (!parts.every((part) => ordinaryPart.test(part))) return encoded(first, others);
  return [prefix, ...parts].join(separator);
}

/**
 * The name for parts with characters that Docker names do not allow: `k8s_<readable>_<hash>`. It has three parts and a
 * cri-dockerd name six or seven, so they cannot collide. The original parts are in the container's labels.
 */
function encoded(first: string, others: readonly string[]): string {
  const readable = first.slice(0, readableLength).replace(/[^a-zA-Z0-9.-]/g, "-");
  const hash = createHash("sha256")
    .update(JSON.stringify([first, ...others]))
    .digest("hex");
  return [prefix, readable, hash].join(separator);
}

interface NameParts {
  readonly container: string;
  readonly pod: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly attempt: number;
}

function parse(name: string): NameParts | undefined {
  const [first, container, pod, namespace, uid, attemptText, ...rest] = name.split(separator);
  if (first !== prefix || rest.length > 1) return undefined;
  if (container === undefined || pod === undefined || namespace === undefined || uid === undefined) {
    return undefined;
  }
  const attempt = parseAttempt(attemptText);
  return attempt === undefined ? undefined : { container, pod: { name: pod, namespace, uid }, attempt };
}

function parseAttempt(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const attempt = Number(text);
  return attempt <= largestAttempt ? attempt : undefined;
}
