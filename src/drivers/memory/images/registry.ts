import { familiarRepository, parseReference, ShimError, sleep, type ErrorKind } from "../../../base/index.js";
import { RegistryUnavailable, type PullProgress, type RegistryAuth } from "../../../docker/index.js";
import { asImage, buildImage, familiarTag, namesOf, type MemoryImage, type StoredImage } from "./image.js";

/** The behaviour of pulls of one repository. */
export interface PullBehaviour {
  /** The required login; none when absent. */
  readonly credentials?: { readonly username: string; readonly password: string } | undefined;
  /** The pull fails with this error, after its progress. */
  readonly error?: { readonly kind: ErrorKind; readonly message?: string } | undefined;
  /** The pull hangs after its first message. */
  readonly stall?: boolean | undefined;
  /** Sent in place of the usual messages. */
  readonly progress?: readonly PullProgress[] | undefined;
  /** The pause between two messages. */
  readonly messageDelayMs?: number | undefined;
}

/** All registries that the memory engine can pull from. */
export class Registry {
  private readonly images = new Map<string, StoredImage>();
  private readonly behaviours = new Map<string, PullBehaviour>();

  /** Publishes an image under all its names. @returns Its ids, for pulls by digest. */
  add(image: string | MemoryImage): { readonly id: string; readonly manifestDigest: string } {
    const spec = asImage(image);
    const built = buildImage(spec);
    for (const name of namesOf(spec)) {
      const reference = parseReference(name);
      this.images.set(familiarTag(reference), built);
      this.images.set(`${familiarRepository(reference)}@${built.manifestDigest}`, built);
    }
    return { id: built.id, manifestDigest: built.manifestDigest };
  }

  remove(name: string): void {
    const reference = parseReference(name);
    const tag = familiarTag(reference);
    const image = this.images.get(tag);
    this.images.delete(tag);
    if (image) this.images.delete(`${familiarRepository(reference)}@${image.manifestDigest}`);
  }

  /** Sets the behaviour of pulls of a repository from now on; absent fields have their defaults. */
  behave(repository: string, behaviour: PullBehaviour): void {
    this.behaviours.set(familiarRepository(parseReference(repository)), behaviour);
  }

  /**
   * Pulls an image: yields the progress and returns the image.
   * @throws ShimError `not-found`, `unauthenticated`, `invalid-argument`, or the error that the test has set.
   */
  async *pull(
    text: string,
    auth: RegistryAuth | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<PullProgress, StoredImage> {
    const operation = "images.pull";
    const reference = parseReference(text);
    const repository = familiarRepository(reference);
    const behaviour = this.behaviours.get(repository) ?? {};
    checkCredentials(behaviour, auth, repository);
    const name =
      reference.digest === undefined ? familiarTag(reference) : `${repository}@${reference.digest}`;
    const image = this.images.get(name);
    if (!image && !behaviour.error) {
      throw new ShimError(
        "not-found",
        `${operation}: no registry has ${name}: the repository does not exist, or it needs a login`,
        { operation },
      );
    }
    for (const message of behaviour.progress ?? usualProgress(name, image)) {
      yield message;
      if (behaviour.stall) await forever(signal);
      if (behaviour.messageDelayMs !== undefined) await sleep(behaviour.messageDelayMs, signal);
    }
    const { error } = behaviour;
    if (error || !image) {
      const { kind, message } = error ?? { kind: "not-found" as const };
      const said = message ?? `${operation}: the registry of ${name} answered an error`;
      const cause = kind === "unavailable" ? new RegistryUnavailable(said) : undefined;
      throw new ShimError(kind, said, { operation, cause });
    }
    return image;
  }
}

function checkCredentials(
  behaviour: PullBehaviour,
  auth: RegistryAuth | undefined,
  repository: string,
): void {
  const { credentials } = behaviour;
  if (!credentials) return;
  if (auth?.username === credentials.username && auth.password === credentials.password) return;
  const said = auth?.username === undefined ? "no basic auth credentials" : "incorrect username or password";
  throw new ShimError("unauthenticated", `images.pull: ${repository}: ${said}; check the pull secret`, {
    operation: "images.pull",
  });
}

function usualProgress(name: string, image: StoredImage | undefined): PullProgress[] {
  const layers = image?.layers ?? [];
  const total = image?.sizeBytes ?? 0;
  const short = (layer: string) => layer.slice(7, 19);
  return [
    {
      status: `Pulling from ${name.split(/[:@]/)[0] ?? name}`,
      layer: /:([^/:]+)$/.exec(name)?.[1] ?? "latest",
    },
    ...layers.flatMap((layer): PullProgress[] => [
      { status: "Pulling fs layer", layer: short(layer) },
      { status: "Downloading", layer: short(layer), currentBytes: Math.floor(total / 2), totalBytes: total },
      { status: "Download complete", layer: short(layer) },
      { status: "Pull complete", layer: short(layer) },
    ]),
    { status: `Status: Downloaded newer image for ${name}` },
  ];
}

async function forever(signal: AbortSignal): Promise<never> {
  for (;;) await sleep(2 ** 31 - 1, signal);
}
