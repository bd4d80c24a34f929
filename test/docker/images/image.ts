import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { link, mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { run } from "../lab/command.js";

/** What Docker's image config may say about running the image. */
export interface ImageConfig {
  readonly User?: string;
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly Volumes?: Readonly<Record<string, Record<string, never>>>;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
  readonly StopSignal?: string;
  readonly Healthcheck?: { readonly Test: readonly string[]; readonly Interval?: number };
}

/** One layer, packed: as it is for an archive, and gzipped for a registry. */
export interface Layer {
  /** The tar file. */
  readonly path: string;
  readonly diffId: string;
  /** The gzipped tar file. */
  readonly gzipPath: string;
  readonly gzipDigest: string;
  readonly gzipSizeBytes: number;
}

/** An image, ready to be loaded into an engine or pushed to a registry. */
export interface Image {
  readonly tags: readonly string[];
  /** Docker's image id, `sha256:…`: the digest of the config. */
  readonly id: string;
  readonly config: Buffer;
  /** The lowest first. */
  readonly layers: readonly Layer[];
}

/** All images are of this moment, so that the same content has the same id on every run. */
const createdAt = "2024-01-01T00:00:00Z";

/** Packs a folder's tree as a layer; its owners and modes are kept. @throws CommandError of tar. */
export async function packLayer(tree: string, folder: string): Promise<Layer> {
  await mkdir(folder, { recursive: true });
  const fresh = join(folder, "layer.new");
  const mtime = String(Date.parse(createdAt) / 1000);
  await run("tar", ["--sort=name", `--mtime=@${mtime}`, "--numeric-owner", "-C", tree, "-cf", fresh, "."]);
  const diffId = await digestOf(fresh);
  const path = join(folder, `${diffId.slice(7)}.tar`);
  await rename(fresh, path);
  const gzipPath = `${path}.gz`;
  await pipeline(createReadStream(path), createGzip(), createWriteStream(gzipPath));
  return {
    path,
    diffId,
    gzipPath,
    gzipDigest: await digestOf(gzipPath),
    gzipSizeBytes: (await stat(gzipPath)).size,
  };
}

/** An image of the given layers, the lowest first. */
export function makeImage(
  tags: readonly string[],
  layers: readonly Layer[],
  config: ImageConfig = {},
): Image {
  const text = JSON.stringify({
    architecture: imageArchitecture(),
    os: "linux",
    created: createdAt,
    config: { Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], ...config },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created: createdAt, created_by: "docker-cri's tests" })),
  });
  const bytes = Buffer.from(text);
  return { tags, id: `sha256:${createHash("sha256").update(bytes).digest("hex")}`, config: bytes, layers };
}

/** This machine's architecture as images name it. */
export function imageArchitecture(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}

/** Writes images as an archive that `docker load` takes. @throws CommandError of tar. */
export async function writeArchive(images: readonly Image[], folder: string, archive: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const manifest = [];
  for (const image of images) {
    const config = `${image.id.slice(7)}.json`;
    await writeFile(join(folder, config), image.config);
    for (const { diffId, path } of image.layers) {
      const target = join(folder, layerName(diffId));
      await rm(target, { force: true });
      await link(path, target);
    }
    manifest.push({
      Config: config,
      RepoTags: image.tags,
      Layers: image.layers.map(({ diffId }) => layerName(diffId)),
    });
  }
  await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest));
  await run("tar", ["-C", folder, "-cf", archive, "."]);
}

function layerName(diffId: string): string {
  return `${diffId.slice("sha256:".length)}.tar`;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return `sha256:${hash.digest("hex")}`;
}
