import { randomBytes } from "node:crypto";
import { mkdir, open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { codeOf } from "../../base/index.js";

/** A new name in the folder of `path`, of the form that the port promises for temporary files. */
export function temporaryPathFor(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
}

/**
 * Writes a whole file under a temporary name, syncs it, moves it into place and syncs the folder. When it
 * fails, the old file is untouched and the temporary one is gone.
 */
export async function writeAtomic(
  path: string,
  content: string | Uint8Array,
  { mode = 0o600, sync = true }: { readonly mode?: number; readonly sync?: boolean } = {},
): Promise<void> {
  const temporary = temporaryPathFor(path);
  try {
    await writeNew(temporary, content, { mode, sync });
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  if (sync) await syncFolder(dirname(path));
}

async function writeNew(
  path: string,
  content: string | Uint8Array,
  { mode, sync }: { readonly mode: number; readonly sync: boolean },
): Promise<void> {
  const file = await openInFolder(path, mode);
  try {
    await file.writeFile(content);
    // The umask may have cleared bits.
    await file.chmod(mode);
    if (sync) await file.sync();
  } finally {
    await file.close();
  }
}

async function openInFolder(path: string, mode: number) {
  try {
    return await open(path, "wx", mode);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    return await open(path, "wx", mode);
  }
}

/** Syncs a folder, so that its names survive a crash. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems cannot sync a folder; the file itself is in place.
    if (codeOf(error) !== "EINVAL") throw error;
  } finally {
    await folder.close();
  }
}
