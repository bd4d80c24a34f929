import { familiarRepository, isImageId, parseReference, ShimError } from "../../../base/index.js";
import {
  buildImage,
  digestName,
  familiarTag,
  tagsOf,
  type ImageNames,
  type MemoryImage,
  type StoredImage,
} from "./image.js";

/** The images on the engine, with their names. */
export class ImageStore {
  private readonly images = new Map<string, StoredImage>();
  private readonly tags = new Map<string, string>();
  private readonly digests = new Map<string, string>();

  /** Adds an image with all its names, as `docker load` does. */
  add(spec: MemoryImage): StoredImage {
    const image = buildImage(spec);
    this.images.set(image.id, image);
    for (const tag of tagsOf(spec)) this.tags.set(tag, image.id);
    return image;
  }

  /** Adds a pulled image with the requested name. */
  addPulled(image: StoredImage, name: string): void {
    const reference = parseReference(name);
    this.images.set(image.id, image);
    if (reference.digest === undefined) this.tags.set(familiarTag(reference), image.id);
    this.digests.set(digestName(image, name), image.id);
  }

  list(): StoredImage[] {
    return [...this.images.values()];
  }

  names(id: string): ImageNames {
    const of = (names: Map<string, string>) =>
      [...names].filter(([, owner]) => owner === id).map(([name]) => name);
    return { tags: of(this.tags), digests: of(this.digests) };
  }

  /** Resolves a reference: an id, a prefix of one, a tag, or a name with a digest. */
  find(reference: string, operation: string): { image: StoredImage; name: string | undefined } {
    const bare = reference.startsWith("sha256:") ? reference.slice(7) : reference;
    const exact = this.images.get(`sha256:${bare}`);
    if (exact) return { image: exact, name: undefined };
    const isId = isImageId(reference) || reference.startsWith("sha256:");
    const named = isId ? undefined : this.byName(reference);
    if (named) return named;
    const matches = /^[0-9a-f]{1,64}$/.test(bare)
      ? this.list().filter((image) => image.id.startsWith(`sha256:${bare}`))
      : [];
    const [only] = matches;
    if (only && matches.length === 1) return { image: only, name: undefined };
    throw new ShimError("not-found", `${operation}: no such image: ${reference}; pull it first`, {
      operation,
    });
  }

  private byName(reference: string): { image: StoredImage; name: string } | undefined {
    const parsed = parseReference(reference);
    const name =
      parsed.digest === undefined ? familiarTag(parsed) : `${familiarRepository(parsed)}@${parsed.digest}`;
    const id = parsed.digest === undefined ? this.tags.get(name) : this.digests.get(name);
    const image = id === undefined ? undefined : this.images.get(id);
    return image && { image, name };
  }

  tag(image: StoredImage, name: string): void {
    this.tags.set(name, image.id);
  }

  /** Removes one name. */
  untag(name: string): void {
    this.tags.delete(name);
    this.digests.delete(name);
  }

  /** Removes an image with all its names. */
  delete(id: string): void {
    this.images.delete(id);
    for (const names of [this.tags, this.digests]) {
      for (const [name, owner] of names) if (owner === id) names.delete(name);
    }
  }
}
