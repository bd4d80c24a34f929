import type { CallOptions } from "../base/index.js";

/** One line of Docker's image list. */
export interface DockerImageSummary {
  /** `sha256:…`: the config's digest with the classic store, the manifest's with the containerd store. */
  readonly id: string;
  /** `repository:tag`; never `<none>`. */
  readonly repoTags: readonly string[];
  /** `repository@sha256:…`; never `<none>`. */
  readonly repoDigests: readonly string[];
  readonly sizeBytes?: number;
  /** The part of the size that other images use too; absent when Docker did not compute it. */
  readonly sharedSizeBytes?: number;
  readonly createdAtSeconds?: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** The answer of `docker image inspect`. */
export interface DockerImage {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  readonly sizeBytes?: number;
  readonly createdAt?: string;
  readonly author?: string;
  readonly architecture?: string;
  readonly os?: string;
  readonly config: DockerImageConfig;
  /** The layers' diff ids, lowest first. */
  readonly layers: readonly string[];
}

export interface DockerImageConfig {
  readonly user?: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly env?: readonly string[];
  readonly workingDir?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly exposedPorts?: readonly string[];
  readonly volumes?: readonly string[];
  readonly stopSignal?: string;
}

export interface DockerImageHistory {
  readonly createdAtSeconds?: number;
  readonly createdBy?: string;
  readonly comment?: string;
  readonly sizeBytes?: number;
}

/** Credentials for a registry; absent members are not sent. */
export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly serverAddress?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
}

/** One message of a pull. */
export interface PullProgress {
  /** Docker's status: `Pulling fs layer`, `Downloading`, `Extracting`, `Pull complete`, `Status: …`. */
  readonly status: string;
  /** The layer's short id, or the tag. */
  readonly layer?: string;
  readonly currentBytes?: number;
  readonly totalBytes?: number;
}

/**
 * Images. `reference` may be an id, an unambiguous id prefix, a tag, a familiar name or `name@digest`.
 * Errors as for containers; each method documents its additions.
 */
export interface DockerImages {
  /** Lists tagged and dangling images, no intermediate ones. @see Docker API GET /images/json */
  list(options?: CallOptions): Promise<DockerImageSummary[]>;

  /** @throws ShimError `not-found`. @see Docker API GET /images/{name}/json */
  inspect(reference: string, options?: CallOptions): Promise<DockerImage>;

  /** Newest first. @see Docker API GET /images/{name}/history */
  history(reference: string, options?: CallOptions): Promise<DockerImageHistory[]>;

  /**
   * Pulls an image and yields its progress; the image exists when the iteration ends by itself. Leaving
   * the loop, or the signal, cancels the pull. No default deadline.
   * @throws ShimError out of Docker's answer or its progress stream: `not-found`, `unauthenticated`,
   *   `unavailable` with a {@link RegistryUnavailable} as its cause (the registry cannot be reached or answers
   *   5xx) or without (Docker cannot be reached), `resource-exhausted` (no space),
   *   `invalid-argument` (a bad reference or manifest).
   * @see Docker API POST /images/create
   */
  pull(
    request: { readonly reference: string; readonly auth?: RegistryAuth },
    options?: CallOptions,
  ): AsyncIterable<PullProgress>;

  /**
   * Removes a name, or with an id the image and all its names when it has only one.
   * @throws ShimError `not-found`; `conflict` when a container uses it, or an id has several names.
   * @see Docker API DELETE /images/{name}
   */
  remove(reference: string, options?: CallOptions & { readonly force?: boolean }): Promise<void>;

  /** Gives an image one more name. @see Docker API POST /images/{name}/tag */
  tag(reference: string, target: { repository: string; tag: string }, options?: CallOptions): Promise<void>;
}

/** The cause of an `unavailable` pull when it is the registry that cannot be reached, and not Docker. */
export class RegistryUnavailable extends Error {
  override readonly name = "RegistryUnavailable";

  /** @param said The registry's answer, or the network error. */
  constructor(said: string) {
    super(`the registry is unavailable: ${said}`);
  }
}
