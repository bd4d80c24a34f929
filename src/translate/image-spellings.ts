import { quote, unsupported } from "./checks.js";

const idPrefix = "sha256:";

/**
 * Ways to write an image in the mounts of one container. Docker 28 refuses to mount one image twice under one
 * spelling ("mount already exists with name"), so each further mount of an id is written a digit shorter.
 */
export class ImageSpellings {
  private readonly uses = new Map<string, number>();

  /** @throws ShimError "unsupported" for a name that is used twice: it has no other spelling. */
  next(image: string, field: string): string {
    const used = this.uses.get(image) ?? 0;
    this.uses.set(image, used + 1);
    if (used === 0) return image;
    if (/^sha256:[0-9a-f]{64}$/.test(image) && used <= 32) {
      return image.slice(idPrefix.length, image.length - (used - 1));
    }
    throw unsupported(field, `mounts ${quote(image)} again, which Docker can do only by the image's full id`);
  }
}

/** The image as it was asked for; the others of the same container tell what a short spelling stands for. */
export function spelledOut(source: string, others: readonly string[]): string {
  if (!/^[0-9a-f]{32,64}$/.test(source)) return source;
  return others.find((other) => other.startsWith(idPrefix + source)) ?? source;
}
