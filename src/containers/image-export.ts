import { randomBytes } from "node:crypto";
import { fileFailure, isKind, messageOf, type Logger } from "../base/index.js";
import type { DockerContainer, DockerService } from "../docker/index.js";
import type { ArchiveEntry, Host } from "../host/index.js";
import { stageOf } from "../inventory/index.js";
import { withOwnLabels, type LabelledImage } from "../translate/index.js";

/** On the containers that exist only to be exported: which shim made them. */
const exportLabel = "io.kubernetes.docker.image-export";
const namePrefix = "docker-cri-export-";

/** What Docker itself puts into a container's file system when it makes one. */
const dockersOwn = new Set([
  ".dockerenv",
  "dev",
  "dev/console",
  "dev/pts",
  "dev/shm",
  "etc",
  "etc/hostname",
  "etc/hosts",
  "etc/mtab",
  "etc/resolv.conf",
  "proc",
  "sys",
]);
/** Archives know whole seconds, and may round. */
const roundingMs = 1_000;

/** Copies the file systems of images out of Docker, by way of containers that are never started. */
export class ImageExport {
  private readonly run = randomBytes(8).toString("hex");

  constructor(
    private readonly docker: DockerService,
    private readonly host: Host,
    private readonly log: Logger,
  ) {}

  /**
   * Unpacks an image into a folder, which is there whole afterwards, or not at all.
   * @throws ShimError "not-found" without such an image; "resource-exhausted" on a full disk.
   */
  async unpack(image: LabelledImage, folder: string): Promise<void> {
    const { containers } = this.docker;
    // Docker makes no container without a command; this one is never run.
    const config = { entrypoint: ["/"], labels: { [exportLabel]: this.run }, healthcheckDisabled: true };
    const name = `${namePrefix}${randomBytes(8).toString("hex")}`;
    const spec = withOwnLabels({ name, config, host: { networkMode: "none" } }, image);
    const { id } = await containers.create(spec);
    try {
      const { createdAtNanos = 0n } = await containers.inspect(id);
      const createdMs = Number(createdAtNanos / 1_000_000n);
      const leaveOut = ({ path, modifiedAt }: ArchiveEntry) =>
        dockersOwn.has(path) && modifiedAt.getTime() + roundingMs >= createdMs;
      await this.host.trees.unpack(containers.export(id), folder, { leaveOut });
    } catch (error) {
      throw fileFailure(`cannot unpack the image ${image.id} into ${folder}`, error);
    } finally {
      await this.remove(id);
    }
  }

  /** Removes what a shim before this one has left. */
  async sweep(): Promise<void> {
    const found = await this.docker.containers.list({ labels: { [exportLabel]: undefined } });
    for (const { id } of found) if (await this.isLeftover(id)) await this.remove(id);
  }

  /** Any image can bring the label, and an engine may leave the filter out: the container itself is looked at. */
  private async isLeftover(id: string): Promise<boolean> {
    try {
      const container = await this.docker.containers.inspect(id);
      return isExport(container) && container.config.labels?.[exportLabel] !== this.run;
    } catch (error) {
      if (!isKind(error, "not-found")) this.warnOfRest(id, error);
      return false;
    }
  }

  private async remove(id: string): Promise<void> {
    try {
      // It never ran. Without force Docker leaves alone what runs after all.
      await this.docker.containers.remove(id);
    } catch (error) {
      if (!isKind(error, "not-found")) this.warnOfRest(id, error);
    }
  }

  private warnOfRest(id: string, error: unknown): void {
    this.log.warn(
      { container: id, err: messageOf(error) },
      "an exported container stays until the next start",
    );
  }
}

/** A container's name and its state come from who made it, never from its image. */
function isExport(container: DockerContainer): boolean {
  const { name, config } = container;
  return (
    name.startsWith(namePrefix) && stageOf(container) === "created" && exportLabel in (config.labels ?? {})
  );
}
