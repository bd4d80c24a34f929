import { parseReference, ShimError, type CallOptions } from "../../../base/index.js";
import type {
  DockerImage,
  DockerImageHistory,
  DockerImages,
  DockerImageSummary,
  PullProgress,
  RegistryAuth,
} from "../../../docker/index.js";
import type { CallSubject, Connection } from "../connection.js";
import { familiarTag, namesGoingWith, toHistory, toInspect, toSummary, type StoredImage } from "./image.js";

/** The images of the memory engine. */
export class MemoryImages implements DockerImages {
  constructor(private readonly connection: Connection) {}

  private get store() {
    return this.connection.engine.images;
  }

  async list(options?: CallOptions): Promise<DockerImageSummary[]> {
    return await this.connection.call("images.list", options, {}, () =>
      this.store.list().map((image) => structuredClone(toSummary(image, this.store.names(image.id)))),
    );
  }

  async inspect(reference: string, options?: CallOptions): Promise<DockerImage> {
    return await this.connection.call("images.inspect", options, subjectOf(reference), () => {
      const { image } = this.store.find(reference, "images.inspect");
      return structuredClone(toInspect(image, this.store.names(image.id)));
    });
  }

  async history(reference: string, options?: CallOptions): Promise<DockerImageHistory[]> {
    return await this.connection.call("images.history", options, subjectOf(reference), () =>
      toHistory(this.store.find(reference, "images.history").image),
    );
  }

  pull(
    request: { readonly reference: string; readonly auth?: RegistryAuth },
    options?: CallOptions,
  ): AsyncIterable<PullProgress> {
    return this.connection.stream("images.pull", options, subjectOf(request.reference), (signal) =>
      this.pullFrom(request.reference, request.auth, signal),
    );
  }

  private async *pullFrom(
    reference: string,
    auth: RegistryAuth | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<PullProgress> {
    const { engine } = this.connection;
    const image = yield* engine.registry.pull(reference, auth, signal);
    this.store.addPulled(image, reference);
    const parsed = parseReference(reference);
    const name = parsed.digest === undefined ? familiarTag(parsed) : reference;
    engine.events.emit("image", "pull", name, { ...image.config.labels, name });
  }

  async remove(reference: string, options: CallOptions & { readonly force?: boolean } = {}): Promise<void> {
    const operation = "images.remove";
    await this.connection.call(operation, options, subjectOf(reference), () => {
      const { image, name } = this.store.find(reference, operation);
      const names = this.store.names(image.id);
      const { tags, digests } = names;
      const going = name === undefined ? [] : namesGoingWith(name, names);
      if (name !== undefined && going.length < tags.length + digests.length) {
        for (const each of going) this.untag(image, each);
        return;
      }
      if (name === undefined && tags.length > 1 && !options.force) {
        const why = `${reference} has several names (${tags.join(", ")}); remove them one by one, or force it`;
        throw new ShimError("conflict", `${operation}: ${why}`, { operation });
      }
      this.requireUnused(image, options.force === true);
      for (const each of [...tags, ...digests]) this.untag(image, each);
      this.store.delete(image.id);
      this.connection.engine.events.emit("image", "delete", image.id, { name: image.id });
    });
  }

  async tag(
    reference: string,
    target: { repository: string; tag: string },
    options?: CallOptions,
  ): Promise<void> {
    const operation = "images.tag";
    await this.connection.call(operation, options, subjectOf(reference), () => {
      const { image } = this.store.find(reference, operation);
      const name = familiarTag(parseReference(`${target.repository}:${target.tag}`));
      this.store.tag(image, name);
      this.connection.engine.events.emit("image", "tag", image.id, { ...image.config.labels, name });
    });
  }

  private untag(image: StoredImage, name: string): void {
    this.store.untag(name);
    this.connection.engine.events.emit("image", "untag", image.id, {
      ...image.config.labels,
      name: image.id,
    });
  }

  /** Docker never removes the image of a running container, and that of a stopped one only with force. */
  private requireUnused(image: StoredImage, force: boolean): void {
    const operation = "images.remove";
    for (const container of this.connection.engine.containers.values()) {
      if (container.image.id !== image.id || (force && !container.running)) continue;
      const why = `container ${container.name} (${container.status}) uses the image; remove the container first`;
      throw new ShimError("conflict", `${operation}: ${why}`, { operation });
    }
  }
}

function subjectOf(reference: string): CallSubject {
  return { matches: (id) => id === reference };
}
