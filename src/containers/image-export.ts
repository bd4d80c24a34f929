import { randomBytes } from "node:crypto";
import { fileFailure, isKind, messageOf, type Logger } from "../base/index.js";
import type { DockerService } from "../docker/index.js";
import type { ArchiveEntry, Host } from "../host/index.js";

/** On the containers that exist only to be exported: which shim made them. */
const exportLabel = "io.kubernetes.docker.image-export";

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
  async unpack(imageId: string, folder: string): Promise<void> {
    const { containers } = this.docker;
    const name = `docker-cri-export-${randomBytes(8).toString("hex")}`;
    const { id } = await containers.create({
      name,
      // Docker makes no container without a command; this one is never run.
      config: {
        image: imageId,
        entrypoint: ["/"],
        labels: { [exportLabel]: this.run },
        healthcheckDisabled: true,
      },
      host: { networkMode: "none" },
    });
    try {
      const { createdAtNanos = 0n } = await containers.inspect(id);
      const createdMs = Number(createdAtNanos / 1_000_000n);
      const leaveOut = ({ path, modifiedAt }: ArchiveEntry) =>
        dockersOwn.has(path) && modifiedAt.getTime() + roundingMs >= createdMs;
      await this.host.trees.unpack(containers.export(id), folder, { leaveOut });
    } catch (error) {
      throw fileFailure(`cannot unpack the image ${imageId} into ${folder}`, error);
    } finally {
      await this.remove(id);
    }
  }

  /** Removes what a shim before this one has left. */
  async sweep(): Promise<void> {
    const found = await this.docker.containers.list({ labels: { [exportLabel]: undefined } });
    for (const { id, labels } of found) if (labels[exportLabel] !== this.run) await this.remove(id);
  }

  private async remove(id: string): Promise<void> {
    try {
      await this.docker.containers.remove(id, { force: true });
    } catch (error) {
      if (isKind(error, "not-found")) return;
      this.log.warn(
        { container: id, err: messageOf(error) },
        "an exported container stays until the next start",
      );
    }
  }
}
