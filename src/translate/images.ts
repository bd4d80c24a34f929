import { create } from "@bufbuild/protobuf";
import { formatRfc3339Nanos } from "../base/index.js";
import type { DockerImage, DockerImageConfig, DockerImageHistory } from "../docker/index.js";
import { ImageSchema, type Image } from "../gen/runtime/v1/api_pb.js";

/** What is needed of an image; an inspect's answer is one. */
export interface ImageFacts {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  readonly sizeBytes?: number;
  readonly config?: { readonly user?: string };
}

const largestUid = 0xffff_ffff;
/** The end of the year 9999, beyond which RFC 3339 does not go. */
const latestSeconds = 253_402_300_799;

/** An image as CRI shows it, under Docker's id. @param options.pinned kubelet must not remove it. */
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

/** kubelet takes an image of size 0 for a broken answer, but Docker may not know a size, or know it as 0. */
function sizeOf(bytes: number | undefined): bigint {
  const whole = Math.trunc(bytes ?? 0);
  return whole >= 1 && Number.isSafeInteger(whole) ? BigInt(whole) : 1n;
}

/** The user part of `user[:group]`: a number is a uid, anything else a name. */
function userOf(text: string): { uid?: { value: bigint }; username?: string } {
  const user = text.split(":", 1)[0] ?? "";
  if (user === "") return {};
  if (/^\d{1,10}$/.test(user) && Number(user) <= largestUid) return { uid: { value: BigInt(user) } };
  return { username: user };
}

/**
 * Details for people, under the key `info`: the labels, and the image in the form of an OCI image config.
 * @param history Newest first, as Docker tells it.
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
