import { isKind, messageOf, normalizeReference, type CallOptions, type Logger } from "../base/index.js";
import type { DockerImage, DockerImageSummary, DockerService } from "../docker/index.js";

/** An image on the engine; immutable. A change replaces the object, and an unchanged image stays the same object. */
export type ImageRecord = DockerImage;

const listDeadlineMs = 60_000;
const inspectDeadlineMs = 10_000;
const inspectsAtOnce = 8;
const shortId = /^(?:sha256:)?([0-9a-f]{3,64})$/;

/** The images that the engine holds, found by every name that CRI and Docker know. */
export class ImageIndex {
  private images = new Map<string, ImageRecord>();
  private names = new Map<string, string>();
  private listing: Promise<void> | undefined;
  private nextListing: Promise<void> | undefined;
  /** Counts the refreshes of single images. During a list, `refreshed` has the last one of each image. */
  private refreshes = 0;
  private readonly refreshed = new Map<string, number>();
  constructor(
    private readonly docker: DockerService,
    private readonly log: Logger,
  ) {}

  records(): Iterable<ImageRecord> {
    return this.images.values();
  }

  get(id: string): ImageRecord | undefined {
    return this.images.get(id);
  }

  /** The labels of an image; undefined while it is not known. */
  labelsOf(id: string | undefined): Readonly<Record<string, string>> | undefined {
    const image = id === undefined ? undefined : this.images.get(id);
    return image && (image.config.labels ?? {});
  }

  /** Finds an image by id, unambiguous short id, tag, familiar name, repo@digest or tag@digest. */
  find(reference: string): ImageRecord | undefined {
    const exact = this.images.get(reference) ?? this.images.get(`sha256:${reference}`);
    if (exact) return exact;
    const name = normalizeReference(reference);
    const id = name === undefined ? undefined : this.names.get(name);
    if (id !== undefined) return this.images.get(id);
    const digits = shortId.exec(reference)?.[1];
    if (digits === undefined) return undefined;
    const matches = [...this.images.values()].filter((image) => image.id.startsWith(`sha256:${digits}`));
    return matches.length === 1 ? matches[0] : undefined;
  }

  /**
   * Lists all images and inspects those that are new or whose names differ. The list is requested after this call,
   * even when another list is under way: that one may not have the change.
   */
  refreshAll(options: CallOptions = {}): Promise<void> {
    if (this.listing) {
      return (this.nextListing ??= this.listing
        .catch(() => undefined)
        .then(() => {
          this.nextListing = undefined;
          return this.refreshAll(options);
        }));
    }
    this.listing = this.list(options).finally(() => {
      this.listing = undefined;
      this.refreshed.clear();
    });
    return this.listing;
  }

  /** Inspects one image; the names that it has now are taken from the other images. */
  async refresh(reference: string, options: CallOptions = {}): Promise<ImageRecord | undefined> {
    try {
      const image = await this.docker.images.inspect(reference, options);
      this.note(image.id);
      const next = new Map(this.images);
      for (const [id, other] of next) if (id !== image.id) next.set(id, withoutNames(other, image));
      next.set(image.id, image);
      this.replace(next);
      return image;
    } catch (error) {
      if (!isKind(error, "not-found")) throw error;
      const gone = this.find(reference);
      if (gone?.id === reference) {
        this.note(reference);
        const next = new Map(this.images);
        next.delete(reference);
        this.replace(next);
      } else if (gone) await this.refresh(gone.id, options);
      return undefined;
    }
  }

  private async list(options: CallOptions): Promise<void> {
    const asked = this.refreshes;
    const list = await this.docker.images.list({ deadlineMs: listDeadlineMs, ...options });
    const next = new Map<string, ImageRecord>();
    const missing: DockerImageSummary[] = [];
    for (const summary of list) {
      const known = this.images.get(summary.id);
      if (known && sameNames(known, summary)) next.set(known.id, known);
      else missing.push(summary);
    }
    const failures: unknown[] = [];
    for (let start = 0; start < missing.length; start += inspectsAtOnce) {
      const batch = missing.slice(start, start + inspectsAtOnce);
      const images = await Promise.all(batch.map((summary) => this.inspect(summary, failures, options)));
      for (const image of images) if (image) next.set(image.id, image);
    }
    if (failures.length > 0)
      this.log.warn(
        { images: failures.length, err: messageOf(failures[0]) },
        "Docker did not answer the inspection of images: using their entries in the list",
      );
    // Images that were inspected meanwhile are newer than the list.
    for (const [id, when] of this.refreshed) {
      if (when <= asked) continue;
      const newer = this.images.get(id);
      if (newer) next.set(id, newer);
      else next.delete(id);
    }
    this.replace(next);
  }

  private note(id: string): void {
    this.refreshes++;
    if (this.listing) this.refreshed.set(id, this.refreshes);
  }

  private async inspect(
    summary: DockerImageSummary,
    failures: unknown[],
    options: CallOptions,
  ): Promise<DockerImage | undefined> {
    try {
      const image = await this.docker.images.inspect(summary.id, {
        deadlineMs: inspectDeadlineMs,
        ...options,
      });
      // A list can have one image under several ids; the id of the list is used.
      return image.id === summary.id ? image : { ...image, id: summary.id };
    } catch (error) {
      if (isKind(error, "not-found")) return undefined;
      if (isKind(error, "cancelled")) throw error;
      failures.push(error);
      return { ...summary, config: { labels: summary.labels }, layers: [] };
    }
  }

  private replace(images: Map<string, ImageRecord>): void {
    const unchanged =
      images.size === this.images.size && [...images].every(([id, image]) => this.images.get(id) === image);
    if (unchanged) return;
    this.images = images;
    this.names = new Map();
    for (const image of images.values()) {
      for (const name of [...image.repoTags, ...image.repoDigests, ...namesById(image)]) {
        const normal = normalizeReference(name);
        if (normal !== undefined) this.names.set(normal, image.id);
      }
    }
  }
}

function sameNames(image: ImageRecord, summary: DockerImageSummary): boolean {
  const same = (a: readonly string[], b: readonly string[]) =>
    a.length === b.length && new Set([...a, ...b]).size === a.length;
  return same(image.repoTags, summary.repoTags) && same(image.repoDigests, summary.repoDigests);
}

function withoutNames(image: ImageRecord, owner: ImageRecord): ImageRecord {
  const repoTags = image.repoTags.filter((tag) => !owner.repoTags.includes(tag));
  return repoTags.length === image.repoTags.length ? image : { ...image, repoTags };
}

/**
 * With containerd's store the id is the manifest's digest, which is then a name of the image in each repository that
 * has a tag of it. Docker 26 lists it for one repository only.
 */
function namesById({ id, repoTags }: ImageRecord): string[] {
  return repoTags.flatMap((tag) => {
    const colon = tag.lastIndexOf(":");
    return colon > tag.lastIndexOf("/") ? [`${tag.slice(0, colon)}@${id}`] : [];
  });
}
