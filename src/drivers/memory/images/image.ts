import { familiarRepository, parseReference, type ImageReference } from "../../../base/index.js";
import type {
  DockerImage,
  DockerImageConfig,
  DockerImageHistory,
  DockerImageSummary,
} from "../../../docker/index.js";
import { digestOf } from "../ids.js";
import { pausePrograms, type ImagePrograms } from "../programs/image-programs.js";

/** An image as a test describes it. */
export interface MemoryImage {
  /** `busybox:1.36`, `registry.k8s.io/pause:3.10`. */
  readonly name: string;
  /** More names of the same image. */
  readonly otherNames?: readonly string[];
  /** Makes images with one configuration differ. The name when absent. */
  readonly seed?: string;
  /** When absent, the image runs its first program, or `sh` when it has none. */
  readonly config?: DockerImageConfig;
  readonly sizeBytes?: number;
  /** RFC 3339. */
  readonly createdAt?: string;
  readonly author?: string;
  readonly architecture?: string;
  /**
   * Its programs by their path: `{ "/bin/server": async (process) => { … } }`. `sh`, for plain command lines, and a few
   * small tools (`echo`, `cat`, `sleep`, `env`, `true`, `false`) come with every image.
   */
  readonly programs?: ImagePrograms;
  /** Files, by absolute path. */
  readonly files?: Readonly<Record<string, string>>;
}

/** An image in the engine's store, or in a registry. */
export interface StoredImage {
  /** `sha256:…` of its configuration. */
  readonly id: string;
  /** `sha256:…` of its manifest. */
  readonly manifestDigest: string;
  readonly layers: readonly string[];
  readonly spec: MemoryImage;
  readonly config: DockerImageConfig;
  readonly programs: ImagePrograms;
  readonly createdAt: string;
  readonly sizeBytes: number;
}

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const anyDay = "2024-05-17T12:00:00Z";

/** Creates an image from its description; equal descriptions result in equal ids. */
export function buildImage(spec: MemoryImage): StoredImage {
  const isPause = /(?:^|\/)pause(?::|@|$)/.test(spec.name);
  const [program = "sh"] = Object.keys(spec.programs ?? {});
  const config = spec.config ?? (isPause ? pauseConfig : { command: [program], env: [path] });
  const seed = spec.seed ?? spec.name;
  const createdAt = spec.createdAt ?? anyDay;
  const id = digestOf(JSON.stringify(["config", seed, config, createdAt]));
  return {
    id,
    manifestDigest: digestOf(`manifest ${id}`),
    layers: [digestOf(`layer ${id}`)],
    spec,
    config,
    programs: spec.programs ?? (isPause ? pausePrograms : {}),
    createdAt,
    sizeBytes: spec.sizeBytes ?? (isPause ? 742_785 : 4_261_550),
  };
}

const pauseConfig: DockerImageConfig = {
  entrypoint: ["/pause"],
  user: "65535:65535",
  workingDir: "/",
  env: [path],
};

/** A {@link MemoryImage} for a plain name. */
export function asImage(image: string | MemoryImage): MemoryImage {
  return typeof image === "string" ? { name: image } : image;
}

/** `repository:tag` as Docker shows it, with `latest` filled in. */
export function familiarTag(reference: ImageReference): string {
  return `${familiarRepository(reference)}:${reference.tag ?? "latest"}`;
}

/** All names of an image's description. */
export function namesOf({ name, otherNames = [] }: MemoryImage): string[] {
  return [name, ...otherNames];
}

/** The tags of an image's description as Docker shows them. */
export function tagsOf(spec: MemoryImage): string[] {
  return namesOf(spec).map((name) => familiarTag(parseReference(name)));
}

/** `repository@digest` for a name. */
export function digestName(image: StoredImage, name: string): string {
  return `${familiarRepository(parseReference(name))}@${image.manifestDigest}`;
}

/** The names of an image on the engine. */
export interface ImageNames {
  readonly tags: readonly string[];
  readonly digests: readonly string[];
}

/** The names to remove with a name: the name itself, and with the last tag of a repository also its digests. */
export function namesGoingWith(name: string, { tags, digests }: ImageNames): string[] {
  const repository = repositoryOf(name);
  const isLastTag = tags.every((tag) => tag === name || repositoryOf(tag) !== repository);
  if (!tags.includes(name) || !isLastTag) return [name];
  return [name, ...digests.filter((digest) => repositoryOf(digest) === repository)];
}

function repositoryOf(name: string): string {
  return familiarRepository(parseReference(name));
}

export function toSummary(image: StoredImage, names: ImageNames): DockerImageSummary {
  return {
    id: image.id,
    repoTags: names.tags,
    repoDigests: names.digests,
    sizeBytes: image.sizeBytes,
    createdAtSeconds: Math.floor(Date.parse(image.createdAt) / 1000),
    labels: image.config.labels ?? {},
  };
}

export function toInspect(image: StoredImage, names: ImageNames): DockerImage {
  return {
    id: image.id,
    repoTags: names.tags,
    repoDigests: names.digests,
    sizeBytes: image.sizeBytes,
    createdAt: image.createdAt,
    ...(image.spec.author === undefined ? {} : { author: image.spec.author }),
    architecture: image.spec.architecture ?? "amd64",
    os: "linux",
    config: image.config,
    layers: image.layers,
  };
}

/** Newest first: the command, then the layer. */
export function toHistory(image: StoredImage): DockerImageHistory[] {
  const createdAtSeconds = Math.floor(Date.parse(image.createdAt) / 1000);
  const command = JSON.stringify(image.config.entrypoint ?? image.config.command ?? []);
  return [
    { createdAtSeconds, createdBy: `CMD ${command}`, comment: "", sizeBytes: 0 },
    { createdAtSeconds, createdBy: "ADD rootfs.tar /", comment: "", sizeBytes: image.sizeBytes },
  ];
}
