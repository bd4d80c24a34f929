import { inject, injectable } from "../base/injection.js";
import { deepFreeze, isKind, Logger, messageOf, parseReference, ShimError } from "../base/index.js";
import { ShimConfig } from "../config/index.js";
import { DockerService } from "../docker/index.js";
import { type AuthConfig, type Image, type ImageFilter, type ImageSpec } from "../gen/runtime/v1/api_pb.js";
import { Host } from "../host/index.js";
import { Inventory, type ImageRecord } from "../inventory/index.js";
import { checkImageHandler, imageInfo, toImage } from "../translate/index.js";
import { readAuth } from "./auth.js";
import { ImageFilesystems, type Disk } from "./filesystems.js";
import { NodeCredentials } from "./node-credentials.js";
import { Pulls, type PullCounts, type PullLogin } from "./pulls.js";
import { Removals } from "./removals.js";

/** The images of the node: list, status, pull, remove, usage. */
@injectable()
export class Images {
  private readonly messages = new WeakMap<ImageRecord, Image>();
  private readonly pulls: Pulls;
  private readonly removals: Removals;
  private readonly filesystems: ImageFilesystems;

  constructor(
    @inject(DockerService) private readonly docker: DockerService,
    @inject(Host) host: Host,
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(ShimConfig) private readonly config: ShimConfig,
    @inject(Logger) private readonly log: Logger,
  ) {
    const credentials = new NodeCredentials(host, log);
    const { imagePullProgressDeadlineMs: progressDeadlineMs } = config;
    this.pulls = new Pulls(docker, inventory, credentials, log, progressDeadlineMs);
    const isPinned = (record: ImageRecord) => record.id === this.pinnedId();
    this.removals = new Removals(docker, inventory, log, isPinned);
    this.filesystems = new ImageFilesystems(host, inventory);
  }

  get pullCounts(): PullCounts {
    return this.pulls.counts;
  }

  /**
   * Lists all images, or the one of the filter.
   * @throws ShimError "unavailable" before the first sync.
   */
  list(filter: ImageFilter | undefined): Image[] {
    this.inventory.assertReady();
    const pinnedId = this.pinnedId();
    const name = filter?.image?.image ?? "";
    if (name === "")
      return [...this.inventory.images.records()].map((record) => this.message(record, pinnedId));
    this.checkHandler(filter?.image);
    const found = this.inventory.images.find(name);
    return found ? [this.message(found, pinnedId)] : [];
  }

  /**
   * One image, by ID, unambiguous short ID, tag, familiar name, repo@digest or tag@digest. For an unknown image the result
   * is empty. Served from the inventory; only `verbose` calls Docker, for the history.
   */
  async status(
    spec: ImageSpec | undefined,
    { verbose }: { readonly verbose: boolean },
  ): Promise<{ image?: Image; info?: Record<string, string> }> {
    this.inventory.assertReady();
    const record = this.inventory.images.find(this.nameIn(spec));
    if (!record) return {};
    const image = this.message(record, this.pinnedId());
    if (!verbose) return { image };
    try {
      return { image, info: imageInfo(record, await this.docker.images.history(record.id)) };
    } catch (error) {
      // Removed after it was found in the inventory.
      if (isKind(error, "not-found")) return {};
      throw error;
    }
  }

  /**
   * Pulls an image, or joins a running pull with the same reference and credentials. A pull is cancelled only without
   * progress, or without any caller, for the duration of the progress deadline.
   * @param signal Cancels this caller's wait, not the pull of other callers.
   * @returns The image ID. The inventory already has the image.
   * @throws ShimError "invalid-argument" for an invalid name; "not-found", "unauthenticated", "registry-unavailable",
   *   "resource-exhausted", "deadline-exceeded".
   */
  async pull(
    spec: ImageSpec | undefined,
    auth: AuthConfig | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    this.inventory.assertReady();
    const name = this.nameIn(spec);
    return await this.pulls.pull(name, this.loginFor(name, auth), signal);
  }

  /** Pulls a missing sandbox image after the first sync, so that the first pod does not wait for it. */
  async keepSandboxImage(): Promise<void> {
    await this.inventory.whenReady();
    if (this.inventory.isReady) await this.ensureSandboxImage(new AbortController().signal);
  }

  /** Cancels running pulls. */
  close(): void {
    this.pulls.close();
  }

  /** Pulls the sandbox image with the node's Docker logins, unless the node has it. */
  async ensureSandboxImage(signal: AbortSignal): Promise<void> {
    const { sandboxImage } = this.config;
    if (this.inventory.images.find(sandboxImage)) return;
    try {
      await this.pulls.pull(sandboxImage, "node", signal);
    } catch (error) {
      throw new ShimError(
        sandboxKind(error),
        `the sandbox image ${sandboxImage} is not on the node and could not be pulled: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /**
   * Removes an image with all its names if given its ID; else that name, and the image with its last name. Succeeds for a
   * missing image.
   * @throws ShimError "failed-precondition" when the image is pinned or in use; it then keeps all its names.
   */
  async remove(spec: ImageSpec | undefined): Promise<void> {
    this.inventory.assertReady();
    await this.removals.remove(this.nameIn(spec));
  }

  /** The usage of the file systems of images and containers. */
  async fsInfo() {
    this.inventory.assertReady();
    return await this.filesystems.info();
  }

  /**
   * The file system of images and writable layers of containers.
   * @throws ShimError "failed-precondition" when Docker's directory is not accessible.
   */
  async disk(): Promise<Disk> {
    return await this.filesystems.disk();
  }

  private pinnedId(): string | undefined {
    return this.inventory.images.find(this.config.sandboxImage)?.id;
  }

  private loginFor(name: string, auth: AuthConfig | undefined): PullLogin {
    const { registry } = parseReference(name);
    const read = readAuth(auth, registry);
    if (read.kind === "given") return read.auth;
    if (read.kind === "foreign") {
      const { server } = read;
      this.log.warn({ image: name, server }, "the credentials are for another registry and are not sent");
    }
    return this.config.nodeCredentialsForAllPulls ? "node" : "anonymous";
  }

  private message(record: ImageRecord, pinnedId: string | undefined): Image {
    const pinned = record.id === pinnedId;
    const cached = this.messages.get(record);
    if (cached?.pinned === pinned) return cached;
    const message = deepFreeze(toImage(record, { pinned }));
    this.messages.set(record, message);
    return message;
  }

  private nameIn(spec: ImageSpec | undefined): string {
    if (!spec || spec.image === "") throw new ShimError("invalid-argument", "the image name is missing");
    this.checkHandler(spec);
    return spec.image;
  }

  private checkHandler(spec: ImageSpec | undefined): void {
    checkImageHandler(spec, this.inventory.environment(), "image");
  }
}

/** The kubelet handles "registry-unavailable" only in PullImage; for RunPodSandbox it is "unavailable". */
function sandboxKind(error: unknown) {
  if (!(error instanceof ShimError) || error.kind === "registry-unavailable") return "unavailable";
  return error.kind;
}
