import type { HostFiles } from "./host.js";

const temporaryPattern = /^\.(.+)\.[0-9a-f]+\.tmp$/;

/**
 * Removes the leftovers of interrupted {@link HostFiles.writeAtomic} calls from a folder. Nothing may write there at
 * the same time.
 * @param isOurs Whether the target's name is one of ours: other programs may have files in the same folder.
 */
export async function removeTemporaries(
  files: HostFiles,
  directory: string,
  isOurs: (name: string) => boolean,
): Promise<void> {
  const names = await files.list(directory);
  const left = names.filter((name) => {
    const written = temporaryPattern.exec(name)?.[1];
    return written !== undefined && isOurs(written);
  });
  await Promise.all(left.map((name) => files.remove(`${directory}/${name}`)));
}
