import { create } from "@bufbuild/protobuf";
import { formatRfc3339Nanos } from "../base/index.js";
import type { DockerImage, DockerImageConfig, DockerImageHistory } from "../docker/index.js";
import { ImageSchema, type Image, type ImageSpec } from "../gen/runtime/v1/api_pb.js";
import type { EngineEnvironment } from "./environment.js";
import { quote, unsupported } from "./validation.js";

/** The fields of an image that CRI shows. An inspect result has them. */
export interface ImageFacts {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  readonly sizeBytes?: number;
  readonly config?: { readonly user?: string };
}

const largestUid = 0xffff_ffff;
/** The end of the year 9999, the maximum of RFC 3339. */
const latestSeconds = 253_402_300_799;

/** The CRI message of an image, with Docker's image ID. @param options.pinned kubelet must not remove the image. */
export function toImage(image: ImageFacts, { pinned }: { readonly pinned: boolean }): Image {
  return create(ImageSchema, {
    id: image.id,
    repoTags: [...image.repoTags],
    repoDigests: [...image.repoDigests],
    size: sizeOf(image.sizeBytes),
    ...userOf(image.config?.user ?? ""),
    spec: { image: image.repoTags[0] ?? image.repoDigests[0] ?? image.id },
    pinned,
  });
}

/** At least 1: kubelet rejects an image of size 0, but Docker may report no size or 0. */
function sizeOf(bytes: number | undefined): bigint {
  const whole = Math.trunc(bytes ?? 0);
  return whole >= 1 && Number.isSafeInteger(whole) ? BigInt(whole) : 1n;
}

/** The user part of `user[:group]`, as a uid if it is a number, else as a name. */
function userOf(text: string): { uid?: { value: bigint }; username?: string } {
  const user = text.split(":", 1)[0] ?? "";
  if (user === "") return {};
  if (/^\d{1,10}$/.test(user) && Number(user) <= largestUid) return { uid: { value: BigInt(user) } };
  return { username: user };
}

/**
 * Verbose details under the key `info`: the labels and an OCI image config.
 * @param history Newest first, as Docker returns it.
 * @see OCI image specification, "Image Configuration"
 */
export function imageInfo(
  image: DockerImage,
  history: readonly DockerImageHistory[],
): Record<string, string> {
  return {
    info: JSON.stringify({
      labels: image.config.labels ?? {},
      imageSpec: {
        created: image.createdAt,
        author: image.author,
        architecture: image.architecture,
        os: image.os,
        config: ociConfig(image.config),
        rootfs: { type: "layers", diff_ids: image.layers },
        history: history.toReversed().map(ociHistory),
      },
    }),
  };
}

function ociConfig(config: DockerImageConfig) {
  const set = (keys: readonly string[] | undefined) =>
    keys && Object.fromEntries(keys.map((key) => [key, {}] as const));
  return {
    User: config.user,
    ExposedPorts: set(config.exposedPorts),
    Env: config.env,
    Entrypoint: config.entrypoint,
    Cmd: config.command,
    Volumes: set(config.volumes),
    WorkingDir: config.workingDir,
    Labels: config.labels,
    StopSignal: config.stopSignal,
  };
}

function ociHistory({ createdAtSeconds, createdBy, comment, sizeBytes }: DockerImageHistory) {
  const known = createdAtSeconds !== undefined && createdAtSeconds > 0 && createdAtSeconds <= latestSeconds;
  return {
    created: known ? formatRfc3339Nanos(BigInt(Math.trunc(createdAtSeconds)) * 1_000_000_000n) : undefined,
    created_by: createdBy,
    comment: comment === "" ? undefined : comment,
    empty_layer: (sizeBytes ?? 0) === 0 ? true : undefined,
  };
}

/**
 * Rejects a runtime handler other than the default: Docker has one image store for all runtimes.
 * @param field The path of the image spec, for the error.
 * @throws ShimError "unsupported"
 */
export function checkImageHandler(
  spec: ImageSpec | undefined,
  { defaultRuntime }: Pick<EngineEnvironment, "defaultRuntime">,
  field: string,
): void {
  const handler = spec?.runtimeHandler ?? "";
  if (handler === "" || handler === "docker" || handler === defaultRuntime) return;
  throw unsupported(
    `${field}.runtime_handler`,
    `is ${quote(handler)}, but Docker has one image store for all runtimes: leave it empty`,
  );
}
