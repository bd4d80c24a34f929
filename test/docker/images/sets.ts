import { createHash } from "node:crypto";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Dockerd } from "../lab/dockerd.js";
import { withLock } from "../lab/lock.js";
import { installPackages } from "../lab/packages.js";
import { cachePath, goModuleFolder } from "../lab/paths.js";
import { timed } from "../lab/say.js";
import { basicImages } from "./basic.js";
import { critestImages } from "./critest.js";
import { nodeE2eImages } from "./node-e2e.js";
import { writeArchive, type Image, type Layer } from "./image.js";

/** Images that are made together, and an archive of them for `docker load`. */
export interface ImageSet {
  readonly images: readonly Image[];
  readonly archive: string;
}

const makers = { basic: basicImages, critest: critestImages, "node-e2e": nodeE2eImages } as const;

/** The sets that the lab can make: busybox and pause; what critest pulls; what Kubernetes' node e2e suite pulls. */
export type ImageSetName = keyof typeof makers;

/**
 * Makes a set of images, or takes it from the cache, where it stays until its sources change.
 * @throws CommandError when a package, Go or tar fails.
 */
export async function imageSet(name: ImageSetName): Promise<ImageSet> {
  await installPackages("engine");
  const folder = join(await cachePath("images"), `${name}-${await sourcesKey()}`);
  const known = await stored(folder);
  if (known !== undefined) return known;
  return await withLock(`images-${name}`, async () => (await stored(folder)) ?? (await make(name, folder)));
}

/**
 * Loads busybox:1.36 and registry.k8s.io/pause:3.10 into an engine: seconds, and no registry.
 * They have no repo digest, as they were not pulled.
 * @throws CommandError as `imageSet` does, or when the engine refuses them.
 */
export async function loadBasicImages(dockerd: Dockerd): Promise<void> {
  await loadImages(dockerd, "basic");
}

/** Loads a set of images into an engine, without a registry. @throws CommandError as `loadBasicImages`. */
export async function loadImages(dockerd: Dockerd, name: ImageSetName): Promise<void> {
  const { archive } = await imageSet(name);
  await dockerd.docker(["load", "--quiet", "--input", archive]);
}

async function make(name: ImageSetName, folder: string): Promise<ImageSet> {
  return await timed(`making the ${name} images`, async () => {
    const work = `${folder}.new`;
    await rm(work, { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
    const images = await makers[name](work);
    const archive = join(work, "archive.tar");
    await writeArchive(images, join(work, "archive"), archive);
    for (const entry of await readdir(work, { withFileTypes: true }))
      if (entry.isDirectory()) await rm(join(work, entry.name), { recursive: true });
    await writeFile(join(work, "set.json"), JSON.stringify(images.map(toStored)));
    await rename(work, folder);
    return { images: images.map((image) => moved(image, folder)), archive: join(folder, "archive.tar") };
  });
}

/** What an image set's folder keeps of an image: the config is text, since its bytes make the id. */
interface StoredImage extends Omit<Image, "config"> {
  readonly config: string;
}

function toStored(image: Image): StoredImage {
  return { ...image, config: image.config.toString("utf8") };
}

async function stored(folder: string): Promise<ImageSet | undefined> {
  const text = await readFile(join(folder, "set.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const images = JSON.parse(text) as StoredImage[];
  return {
    images: images.map((image) => moved({ ...image, config: Buffer.from(image.config) }, folder)),
    archive: join(folder, "archive.tar"),
  };
}

/** The image with its layers in the folder where the set has come to lie. */
function moved(image: Image, folder: string): Image {
  const layers = image.layers.map((layer): Layer => {
    const { path, gzipPath } = layer;
    return { ...layer, path: join(folder, basename(path)), gzipPath: join(folder, basename(gzipPath)) };
  });
  return { ...image, layers };
}

/** Changes when the images could come out differently: with these modules, the programs in them, busybox. */
async function sourcesKey(): Promise<string> {
  const here = fileURLToPath(new URL(".", import.meta.url));
  const modules = (await readdir(here)).sort().map((name) => join(here, name));
  const programs = ["pause", "nnp", "webserver"].map((name) => join(goModuleFolder, "cmd", name, "main.go"));
  const hash = createHash("sha256");
  for (const file of [...modules, ...programs]) hash.update(await readFile(file));
  hash.update(await readFile("/bin/busybox").catch(() => ""));
  return hash.digest("hex").slice(0, 12);
}
