import { randomBytes } from "node:crypto";
import { posix } from "node:path";
import { Readable } from "node:stream";
import { extract } from "tar-stream";
import { excerpt, fileFailure, isKind, messageOf, ShimError, type Logger } from "../base/index.js";
import type { DockerContainer, DockerService } from "../docker/index.js";
import type { ArchiveEntry, Host } from "../host/index.js";
import { stageOf } from "../inventory/index.js";
import { withOwnLabels, type LabelledImage } from "../translate/index.js";

/** Label of containers that exist only to be exported. Its value identifies the run of the shim. */
const exportLabel = "io.kubernetes.docker.image-export";
const namePrefix = "docker-cri-export-";

/** The files that Docker adds to a container's file system at create. */
const dockerFiles = new Set([
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
/** Archives have times in whole seconds, possibly rounded. */
const roundingMs = 1_000;

/** Exports the file systems of images, through containers that are never started. */
export class ImageExport {
  private readonly run = randomBytes(8).toString("hex");

  constructor(
    private readonly docker: DockerService,
    private readonly host: Host,
    private readonly log: Logger,
  ) {}

  /**
   * Unpacks an image into a directory atomically.
   * @throws ShimError "not-found" for a missing image; "resource-exhausted" on a full disk.
   */
  async unpack(image: LabelledImage, folder: string): Promise<void> {
    await this.withContainer(image, async (id) => {
      try {
        const { createdAtNanos = 0n } = await this.docker.containers.inspect(id);
        const createdMs = Number(createdAtNanos / 1_000_000n);
        const leaveOut = ({ path, modifiedAt }: ArchiveEntry) =>
          dockerFiles.has(path) && modifiedAt.getTime() + roundingMs >= createdMs;
        await this.host.trees.unpack(this.docker.containers.export(id), folder, { leaveOut });
      } catch (error) {
        throw fileFailure(`cannot unpack the image ${image.id} into ${folder}`, error);
      }
    });
  }

  /**
   * Reads a file of an image; undefined when the image has none at the path. What follows it in the archive is not read.
   * @param path Relative to the root.
   * @throws ShimError "unsupported" when it is not a file, or larger than `maxBytes`; "not-found" for a missing image.
   */
  async readFile(image: LabelledImage, path: string, maxBytes: number): Promise<string | undefined> {
    return await this.withContainer(image, async (id) => {
      const archive = Readable.from(this.docker.containers.export(id));
      const entries = archive.pipe(extract());
      archive.on("error", (error) => {
        entries.destroy(error);
      });
      try {
        for await (const entry of entries) {
          const { name, type, size } = entry.header;
          if (posix.normalize(name).replace(/^\//, "") !== path) {
            entry.resume();
            continue;
          }
          if (type !== "file" || size > maxBytes)
            throw new ShimError(
              "unsupported",
              `${path} of the image ${excerpt(image.id)} is not a file of at most ${maxBytes} bytes`,
            );
          const chunks: Buffer[] = [];
          for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
          return Buffer.concat(chunks).toString("utf8");
        }
        return undefined;
      } finally {
        archive.destroy();
      }
    });
  }

  /** Runs `work` with a container of the image that is never started. @throws ShimError "not-found" for a missing image. */
  private async withContainer<T>(image: LabelledImage, work: (id: string) => Promise<T>): Promise<T> {
    // Docker requires a command. This one never runs.
    const config = { entrypoint: ["/"], labels: { [exportLabel]: this.run }, healthcheckDisabled: true };
    const name = `${namePrefix}${randomBytes(8).toString("hex")}`;
    const spec = withOwnLabels({ name, config, host: { networkMode: "none" } }, image);
    const { id } = await this.docker.containers.create(spec);
    try {
      return await work(id);
    } finally {
      await this.remove(id);
    }
  }

  /** Removes the export containers of earlier runs. */
  async sweep(): Promise<void> {
    const found = await this.docker.containers.list({ labels: { [exportLabel]: undefined } });
    for (const { id } of found) if (await this.isLeftover(id)) await this.remove(id);
  }

  /** Inspects the container: any image can have the label, and an engine may ignore the filter. */
  private async isLeftover(id: string): Promise<boolean> {
    try {
      const container = await this.docker.containers.inspect(id);
      return isExport(container) && container.config.labels?.[exportLabel] !== this.run;
    } catch (error) {
      if (!isKind(error, "not-found")) this.warnLeftover(id, error);
      return false;
    }
  }

  private async remove(id: string): Promise<void> {
    try {
      // Without force, so that Docker rejects the removal if it runs after all.
      await this.docker.containers.remove(id);
    } catch (error) {
      if (!isKind(error, "not-found")) this.warnLeftover(id, error);
    }
  }

  private warnLeftover(id: string, error: unknown): void {
    this.log.warn(
      { container: id, err: messageOf(error) },
      "could not remove an exported container: retried at the next start",
    );
  }
}

/** An image cannot set the name and the state of a container. */
function isExport(container: DockerContainer): boolean {
  const { name, config } = container;
  return (
    name.startsWith(namePrefix) && stageOf(container) === "created" && exportLabel in (config.labels ?? {})
  );
}
