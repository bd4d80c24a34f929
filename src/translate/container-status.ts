import { create } from "@bufbuild/protobuf";
import { ShimError } from "../base/index.js";
import type { DockerContainer } from "../docker/index.js";
import {
  ContainerSchema,
  ContainerState,
  ContainerStatusSchema,
  type Container,
  type ContainerStatus,
  type LinuxContainerUser,
} from "../gen/runtime/v1/api_pb.js";
import { quote } from "./validation.js";
import { currentResources, currentUser, int32, timeNanos } from "./status-fields.js";
import { identify, type Identity, type WorkloadIdentity } from "./identity.js";
import { currentMounts } from "./mount-status.js";
import { fromDockerSignal } from "./signals.js";

/** The names of a container's image, as the engine knows them now. */
export interface ImageNames {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
}

/** Facts about a container that Docker's inspect result does not have. */
export interface ContainerContext {
  /** Absent until the image has been inspected. */
  readonly image?: ImageNames | undefined;
  /** Absent: derived from the inspect result. */
  readonly identity?: Identity | undefined;
  /** Absent: the request's, if that has numbers. */
  readonly user?: LinuxContainerUser | undefined;
}

/** How a container exited. Times are nanoseconds since the epoch; 0 is unset. */
interface Outcome {
  readonly startedAt: bigint;
  readonly finishedAt: bigint;
  readonly exitCode: number;
  readonly reason: string;
  readonly message: string;
}

/** Docker's exit code for a container that failed to start, and 128 + SIGKILL. */
const cannotRunCode = 128;
const killedCode = 137;
/** For an exit without a known code. Not 0, which means success. */
const unknownCode = 255;
/** Docker's own default. */
const defaultStopSignal = "SIGTERM";

/**
 * The CRI state of a container. A paused container is running. A container whose start failed has exited, because Docker
 * never starts it again.
 */
export function containerState(docker: DockerContainer): ContainerState {
  const { state } = docker;
  if (state.dead || state.status === "dead" || state.status === "removing") {
    return ContainerState.CONTAINER_EXITED;
  }
  if (state.running || state.status === "restarting") return ContainerState.CONTAINER_RUNNING;
  return neverStarted(docker) && !cannotRun(docker)
    ? ContainerState.CONTAINER_CREATED
    : ContainerState.CONTAINER_EXITED;
}

/**
 * The message for ListContainers.
 *
 * `image_id` and `image_ref` both hold the image ID, here and in the status. Kubelets up to 1.29 compare `image_ref` with
 * Image.id to find images in use; later ones compare `image_id`.
 */
export function toContainer(docker: DockerContainer, context: ContainerContext = {}): Container {
  const identity = workloadOf(docker, context);
  const imageId = imageIdOf(docker, context.image);
  return create(ContainerSchema, {
    id: docker.id,
    podSandboxId: identity.sandboxId,
    metadata: identity.container,
    image: imageSpecOf(docker, context.image, identity),
    imageRef: imageId,
    imageId,
    state: containerState(docker),
    createdAt: createdAt(docker),
    labels: { ...identity.labels },
    annotations: { ...identity.annotations },
  });
}

/** The message for ContainerStatus, with the current settings. */
export function toContainerStatus(docker: DockerContainer, context: ContainerContext = {}): ContainerStatus {
  const identity = workloadOf(docker, context);
  const imageId = imageIdOf(docker, context.image);
  const user = context.user ?? currentUser(docker);
  return create(ContainerStatusSchema, {
    id: docker.id,
    metadata: identity.container,
    state: containerState(docker),
    createdAt: createdAt(docker),
    ...outcome(docker),
    image: imageSpecOf(docker, context.image, identity),
    imageRef: imageId,
    imageId,
    labels: { ...identity.labels },
    annotations: { ...identity.annotations },
    mounts: currentMounts(docker, identity.written),
    logPath: identity.logPath,
    resources: { linux: currentResources(docker.host.resources ?? {}) },
    ...(user ? { user: { linux: user } } : {}),
    stopSignal: fromDockerSignal(docker.config.stopSignal ?? defaultStopSignal),
  });
}

function workloadOf(
  docker: DockerContainer,
  { identity = identify(docker) }: ContainerContext,
): WorkloadIdentity {
  if (identity?.kind === "container") return identity;
  throw new ShimError(
    "internal",
    `container ${docker.id} has the name ${quote(docker.name)} and labels that no container of a pod has`,
  );
}

function imageIdOf(docker: DockerContainer, image: ImageNames | undefined): string {
  // kubelet rejects a status without image_ref, so fall back to the image name of the create request.
  return image?.id ?? docker.imageId ?? docker.config.image ?? "";
}

/** The image as requested. For a request by ID it is the user-specified name or a tag, where there is one. */
export function imageSpecOf(
  docker: DockerContainer,
  image: ImageNames | undefined,
  { image: spec }: Pick<WorkloadIdentity, "image">,
): { image: string; userSpecifiedImage: string } {
  const asked = spec?.image ?? docker.config.image ?? "";
  const userSpecifiedImage = spec?.userSpecifiedImage ?? "";
  const id = imageIdOf(docker, image);
  const [, digits] = /^(?:sha256:)?([0-9a-f]{6,64})$/.exec(asked) ?? [];
  const isId = asked === "" || (digits !== undefined && id.startsWith(`sha256:${digits}`));
  return { image: isId ? userSpecifiedImage || image?.repoTags[0] || id : asked, userSpecifiedImage };
}

function createdAt({ createdAtNanos, state }: DockerContainer): bigint {
  return timeNanos(createdAtNanos ?? state.startedAtNanos);
}

function neverStarted({ state }: DockerContainer): boolean {
  return (
    state.startedAtNanos === undefined && state.finishedAtNanos === undefined && state.status !== "exited"
  );
}

/** A container that Docker failed to start stays `created`, with an error or an exit code. */
function cannotRun(docker: DockerContainer): boolean {
  const { error = "", exitCode = 0 } = docker.state;
  return neverStarted(docker) && (error !== "" || exitCode !== 0);
}

function outcome(docker: DockerContainer): Outcome {
  const { state } = docker;
  const startedAt = timeNanos(state.startedAtNanos);
  const none = { finishedAt: 0n, exitCode: 0, reason: "", message: "" };
  switch (containerState(docker)) {
    case ContainerState.CONTAINER_CREATED:
      return { ...none, startedAt: 0n };
    case ContainerState.CONTAINER_RUNNING:
      return { ...none, startedAt };
    default:
      return cannotRun(docker) ? failedStart(docker) : ended(docker);
  }
}

function failedStart(docker: DockerContainer): Outcome {
  const at = createdAt(docker);
  return {
    startedAt: at,
    finishedAt: at,
    exitCode: int32(docker.state.exitCode) || cannotRunCode,
    reason: "ContainerCannotRun",
    message: docker.state.error ?? "",
  };
}

function ended(docker: DockerContainer): Outcome {
  const { state } = docker;
  const startedAt = timeNanos(state.startedAtNanos ?? createdAt(docker));
  const reported = int32(state.exitCode) ?? (state.oomKilled ? killedCode : undefined);
  const exitCode = reported ?? unknownCode;
  return {
    startedAt,
    finishedAt: timeNanos(state.finishedAtNanos ?? startedAt),
    exitCode,
    reason: state.oomKilled ? "OOMKilled" : exitCode === 0 ? "Completed" : "Error",
    message: state.error || (reported === undefined ? "Docker did not report the exit code" : ""),
  };
}

/** Verbose details under the key `info`. Without the environment, which may contain secrets. */
export function containerInfo(docker: DockerContainer, sandboxId: string): Record<string, string> {
  const { config, host, state } = docker;
  return {
    info: JSON.stringify({
      sandboxID: sandboxId,
      pid: state.pid ?? 0,
      dockerName: docker.name,
      dockerState: state.status,
      image: config.image,
      imageID: docker.imageId,
      command: [...(config.entrypoint ?? []), ...(config.command ?? [])],
      workingDir: config.workingDir,
      user: config.user,
      tty: config.tty ?? false,
      runtime: host.runtime,
      cgroupParent: host.cgroupParent,
      namespaces: { network: host.networkMode, pid: host.pidMode, ipc: host.ipcMode, uts: host.utsMode },
      privileged: host.privileged ?? false,
      readonlyRootfs: host.readonlyRootfs ?? false,
      capabilities: { add: host.capAdd ?? [], drop: host.capDrop ?? [] },
      groupAdd: host.groupAdd ?? [],
      securityOpt: host.securityOpt ?? [],
      maskedPaths: host.maskedPaths,
      readonlyPaths: host.readonlyPaths,
      resources: host.resources ?? {},
      devices: [...(host.devices ?? []), ...(host.cdiDevices ?? [])],
      mounts: docker.mounts,
      logDriver: host.logConfig?.driver,
      dockerLogPath: docker.logPath,
      restartCount: docker.restartCount ?? 0,
    }),
  };
}
