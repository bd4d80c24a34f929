import {
  familiarRepository,
  isKind,
  KeyedLock,
  messageOf,
  normalizeReference,
  parseReference,
  ShimError,
  type Logger,
} from "../base/index.js";
import type { DockerContainerSummary, DockerService } from "../docker/index.js";
import type { ImageRecord, Inventory } from "../inventory/index.js";

const mostUsersNamed = 5;

/** Removes images and their names. Removals of one image are serialized. */
export class Removals {
  private readonly lock = new KeyedLock();

  constructor(
    private readonly docker: DockerService,
    private readonly inventory: Inventory,
    private readonly log: Logger,
    private readonly isPinned: (record: ImageRecord) => boolean,
  ) {}

  /**
   * Removes an image with all its names if given a full or short ID; else the tag, or for a digest all names in that
   * repository, and the image with its last name. Succeeds for a missing image.
   * @throws ShimError "failed-precondition" when the image is pinned or in use; it then keeps all its names.
   */
  async remove(reference: string): Promise<void> {
    const record = await this.find(reference);
    if (!record) return;
    await this.lock.run(record.id, () => this.removeFound(reference));
  }

  /** Refreshes an unknown name: the event of a new image may not have arrived yet. */
  private async find(reference: string): Promise<ImageRecord | undefined> {
    const { images } = this.inventory;
    const known = images.find(reference);
    if (known || normalizeReference(reference) === undefined) return known;
    return await images.refresh(reference);
  }

  private async removeFound(reference: string): Promise<void> {
    const { inventory, isPinned } = this;
    const record = inventory.images.find(reference);
    if (!record) return;
    if (isPinned(record)) {
      throw new ShimError(
        "failed-precondition",
        `image ${reference} is pinned: it is the sandbox image, which every pod needs`,
      );
    }
    const names = selectedNames(record, reference);
    try {
      if (names === undefined) await this.removeWhole(record);
      else await this.removeNames(record, names);
    } catch (error) {
      if (!isKind(error, "conflict")) throw error;
      throw new ShimError("failed-precondition", `image ${reference} is in use: ${error.message}`, {
        cause: error,
      });
    } finally {
      await inventory.images.refresh(record.id);
    }
  }

  private async removeNames(record: ImageRecord, names: readonly string[]): Promise<void> {
    if (hasOneTag(record)) await this.refuseInUse(record);
    for (const name of names) await this.untag(name);
  }

  /** Docker rejects removal by ID for an image with several names, so they are removed one by one. */
  private async removeWhole(record: ImageRecord): Promise<void> {
    await this.refuseInUse(record);
    const removed: string[] = [];
    try {
      for (const tag of record.repoTags) {
        await this.untag(tag);
        removed.push(tag);
      }
      for (const name of [...record.repoDigests, record.id]) await this.untag(name);
    } catch (error) {
      if (isKind(error, "conflict")) await this.restore(record, removed);
      throw error;
    }
  }

  private async untag(name: string): Promise<void> {
    try {
      await this.docker.images.remove(name);
    } catch (error) {
      if (!isKind(error, "not-found")) throw error;
    }
  }

  /** Restores the names after a container was created during the removal. */
  private async restore(record: ImageRecord, tags: readonly string[]): Promise<void> {
    for (const text of tags) {
      const reference = parseReference(text);
      const target = { repository: familiarRepository(reference), tag: reference.tag ?? "latest" };
      await this.docker.images.tag(record.id, target).catch((error: unknown) => {
        this.log.warn(
          { image: record.id, tag: text, err: messageOf(error) },
          "could not restore a tag of an image",
        );
      });
    }
  }

  /** Checks all containers of Docker, including exited ones and those of other clients. */
  private async refuseInUse(record: ImageRecord): Promise<void> {
    const containers = await this.docker.containers.list();
    const users = containers.filter(({ imageId }) => imageId === record.id);
    if (users.length === 0) return;
    const named = users.slice(0, mostUsersNamed).map(describe).join(", ");
    const more = users.length > mostUsersNamed ? ` and ${users.length - mostUsersNamed} more` : "";
    throw new ShimError(
      "failed-precondition",
      `image ${record.repoTags[0] ?? record.id} is in use by ${named}${more}; remove the containers first`,
    );
  }
}

/** Whether an image has at most one tag, and digests only of the same repository, which are removed with the tag. */
function hasOneTag({ repoTags, repoDigests }: ImageRecord): boolean {
  const repositories = [...repoTags, ...repoDigests].map((name) => familiarRepository(parseReference(name)));
  return repoTags.length <= 1 && new Set(repositories).size <= 1;
}

/** The names that a reference selects, as Docker has them; undefined for the whole image, as for its ID. */
function selectedNames({ repoTags, repoDigests }: ImageRecord, reference: string): string[] | undefined {
  const wanted = normalizeReference(reference);
  if (wanted === undefined) return undefined;
  if (!reference.includes("@")) {
    // Undefined: the reference is a short ID.
    const tag = repoTags.find((name) => normalizeReference(name) === wanted);
    return tag === undefined ? undefined : [tag];
  }
  const repositoryOf = (name: string) => familiarRepository(parseReference(name));
  const repository = repositoryOf(reference);
  const others = [...repoTags, ...repoDigests].filter((name) => repositoryOf(name) !== repository);
  // A digest selects the image: a remaining tag would keep it.
  return others.length === 0
    ? undefined
    : [...repoTags, ...repoDigests].filter((name) => !others.includes(name));
}

function describe({ id, names, state }: DockerContainerSummary): string {
  return `container ${names[0] ?? id.slice(0, 12)} (${state ?? "in an unknown state"})`;
}
