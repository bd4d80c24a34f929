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
import { Pulls, type PullLogin } from "./pulls.js";
import { Removals } from "./removals.js";

/** The images on the node. */
@injectable()
export class Images {
  private readonly made = new WeakMap<ImageRecord, Image>();
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
    this.pulls = new Pulls({ docker, inventory, credentials, log, progressDeadlineMs });
    const isPinned = (record: ImageRecord) => record.id === this.pinnedId();
    this.removals = new Removals({ docker, inventory, log, isPinned });
    this.filesystems = new ImageFilesystems(host, inventory);
  }

  /**
   * The images, or the one that the filter names.
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
   * One image, by id, unambiguous short id, tag, familiar name, repo@digest or tag@digest; an unknown one is an
   * answer without it. Docker is asked for the history alone, and that only for `verbose`.
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
      // It went while its history was asked for.
      if (isKind(error, "not-found")) return {};
      throw error;
    }
  }

  /**
   * Pulls an image, or joins the pull of the same reference and credentials that is under way. Only a lack of
   * progress ends a pull, or that nobody has waited for it as long.
   * @param signal Of this caller: it ends the waiting, and not the pull for others.
   * @returns The image's id; the inventory has seen it.
   * @throws ShimError "invalid-argument" for what is no name; "not-found", "unauthenticated",
   *   "registry-unavailable", "resource-exhausted", "deadline-exceeded" as it went.
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

  /** Pulls the sandbox image once the inventory knows that it is missing, so that no pod has to wait for it. */
  async keepSandboxImage(): Promise<void> {
    await this.inventory.whenReady();
    if (this.inventory.isReady) await this.ensureSandboxImage(new AbortController().signal);
  }

  /** Ends the pulls under way. */
  close(): void {
    this.pulls.close();
  }

  /** Makes sure that the sandbox image is there, with a pull by the node's Docker logins where it is not. */
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
   * By id removes an image with all its names; by a name that name, and the image with the last one. What is gone
   * is a success.
   * @throws ShimError "failed-precondition" when it is pinned or a container uses it; no name is lost then.
   */
  async remove(spec: ImageSpec | undefined): Promise<void> {
    this.inventory.assertReady();
    await this.removals.remove(this.nameIn(spec));
  }

  /** How much of which file systems images and containers take. */
  async fsInfo() {
    this.inventory.assertReady();
    return await this.filesystems.info();
  }

  /**
   * The file system that images and the writable layers of containers lie on.
   * @throws ShimError "failed-precondition" when Docker's folder cannot be seen from here.
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
    const known = this.made.get(record);
    if (known?.pinned === pinned) return known;
    const message = deepFreeze(toImage(record, { pinned }));
    this.made.set(record, message);
    return message;
  }

  private nameIn(spec: ImageSpec | undefined): string {
    if (!spec || spec.image === "") throw new ShimError("invalid-argument", "the image's name is missing");
    this.checkHandler(spec);
    return spec.image;
  }

  private checkHandler(spec: ImageSpec | undefined): void {
    checkImageHandler(spec, this.inventory.environment(), "image");
  }
}

/** kubelet looks for a registry's failure only in a pull; for a pod it is one more thing that is not there. */
function sandboxKind(error: unknown) {
  if (!(error instanceof ShimError) || error.kind === "registry-unavailable") return "unavailable";
  return error.kind;
}
