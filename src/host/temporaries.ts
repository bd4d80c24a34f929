import type { HostFiles } from "./host.js";

const temporaryPattern = /^\.(.+)\.[0-9a-f]+\.tmp$/;

/**
 * Removes from a folder what a crash in the middle of {@link HostFiles.writeAtomic} left in it. Only for a time at
 * which nobody writes there.
 * @param isOurs Of the name of the file that was being written: others may keep files in the same folder.
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
