import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { imageProgram } from "../lab/tools.js";
import { makeImage, packLayer, type Image, type ImageConfig } from "./image.js";
import { addFile, busyboxTree } from "./trees.js";

/** Names of the images that nearly every test wants. */
export const basicImageNames = { busybox: "busybox:1.36", pause: "registry.k8s.io/pause:3.10" } as const;

/** Makes busybox and pause in a folder. */
export async function basicImages(folder: string): Promise<Image[]> {
  const busybox = join(folder, "busybox");
  await busyboxTree(busybox);
  return [
    makeImage([basicImageNames.busybox], [await packLayer(busybox, folder)], { Cmd: ["sh"] }),
    await pauseImage(folder, [basicImageNames.pause]),
  ];
}

/** Makes the image of a sandbox's own process. */
export async function pauseImage(
  folder: string,
  tags: readonly string[],
  more: ImageConfig = {},
): Promise<Image> {
  const tree = join(folder, "pause");
  await mkdir(tree, { recursive: true });
  await addFile(tree, await imageProgram("pause"), "pause");
  return makeImage(tags, [await packLayer(tree, folder)], {
    Entrypoint: ["/pause"],
    User: "65535:65535",
    ...more,
  });
}
