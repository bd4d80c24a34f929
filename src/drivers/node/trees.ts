import { constants } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract } from "tar-stream";
import { codeOf } from "../../base/index.js";
import type { ArchiveEntry, HostTrees, MeasureOptions, TreeUsage } from "../../host/index.js";
import { syncFolder, temporaryPathFor } from "./atomic-write.js";
import { runCommand } from "./run-command.js";
import { treeUsage } from "./tree-usage.js";
import { pathInside, UnpackedTree } from "./unpacked-tree.js";

/** Every archive ends with this many zeros. */
const endBytes = 1024;
const syncDeadlineMs = 600_000;

export class NodeTrees implements HostTrees {
  async unpack(
    archive: AsyncIterable<Uint8Array>,
    directory: string,
    { leaveOut = () => false }: { readonly leaveOut?: (entry: ArchiveEntry) => boolean } = {},
  ): Promise<void> {
    const temporary = temporaryPathFor(directory);
    // Readable by root only: an archive may contain setuid programs.
    await mkdir(dirname(directory), { recursive: true, mode: 0o700 });
    let broken: unknown;
    const onBroken = (error: unknown) => (broken = error);
    try {
      const tree = await UnpackedTree.open(temporary);
      const entries = extract();
      const feeding = pipeline(Readable.from(toItsEnd(archive, onBroken)), entries);
      // Its error ends the loop below too.
      feeding.catch(() => undefined);
      for await (const entry of entries) {
        const { header } = entry;
        const path = pathInside(header.name);
        if (!leaveOut({ path, modifiedAt: header.mtime }))
          await tree.add(path, header, entry as AsyncIterable<Uint8Array>);
        entry.resume();
      }
      await feeding;
      await tree.finish();
      await syncFileSystemOf(temporary);
      await rename(temporary, directory);
    } catch (error) {
      await this.remove(dirname(temporary), basename(temporary));
      // tar-stream's error for a truncated archive hides the cause.
      throw broken ?? error;
    }
    await syncFolder(dirname(directory));
  }

  usage(directory: string, options: MeasureOptions): Promise<TreeUsage> {
    return treeUsage(directory, options);
  }

  async remove(directory: string, name: string): Promise<void> {
    if (["", ".", ".."].includes(name) || /[/\0]/.test(name)) {
      throw Object.assign(new Error(`EINVAL: not a name in a folder: ${JSON.stringify(name)}`), {
        code: "EINVAL",
      });
    }
    const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
    const folder = await open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch((error: unknown) => {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    });
    try {
      if (folder) await rm(`/proc/self/fd/${folder.fd}/${name}`, { recursive: true, force: true });
    } finally {
      await folder?.close();
    }
  }
}

/**
 * Passes the archive through.
 * @param onBroken Receives the error of the source, not that of the reader.
 * @throws Error when it is truncated between two entries, which the reader does not detect.
 */
async function* toItsEnd(
  archive: AsyncIterable<Uint8Array>,
  onBroken: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  const chunks = archive[Symbol.asyncIterator]();
  let last: Uint8Array = new Uint8Array();
  try {
    for (;;) {
      const next: IteratorResult<Uint8Array, unknown> = await chunks.next().catch((error: unknown) => {
        onBroken(error);
        throw error;
      });
      if (next.done === true) break;
      const { value } = next;
      last =
        value.length >= endBytes ? value.slice(-endBytes) : Buffer.concat([last, value]).subarray(-endBytes);
      yield value;
    }
  } finally {
    await chunks.return?.();
  }
  if (last.length < endBytes || last.some((byte) => byte !== 0)) throw new Error("the archive is cut short");
}

/** Syncs the whole file system: Node can only sync single files, which takes minutes for a large image. */
async function syncFileSystemOf(path: string): Promise<void> {
  const { exitCode, stderr } = await runCommand({
    file: "sync",
    args: ["--file-system", path],
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    deadlineMs: syncDeadlineMs,
  });
  if (exitCode !== 0) throw new Error(`sync ended with ${exitCode}: ${stderr.toString("utf8").trim()}`);
}
