import { mkdir, open, rm, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf, ShimError } from "../../base/index.js";
import type { HostNamespaces } from "../../host/index.js";
import { runCommand } from "./run-command.js";

/** `NSFS_MAGIC`: the file system of namespace files. */
const namespaceFileSystem = 0x6e736673;

const commandDeadlineMs = 10_000;
/** More mounts on one path than docker-cri ever makes. */
const mostMounts = 10;

/** Keeps namespaces by bind mounts, as `ip netns` does. */
export class NodeNamespaces implements HostNamespaces {
  async keep(path: string, keptAt: string): Promise<void> {
    if (await this.isKept(keptAt)) return;
    await mkdir(dirname(keptAt), { recursive: true, mode: 0o700 });
    await (await open(keptAt, "w", 0o600)).close();
    try {
      await command("mount", "--bind", path, keptAt);
    } catch (error) {
      await rm(keptAt, { force: true });
      throw error;
    }
  }

  async isKept(keptAt: string): Promise<boolean> {
    try {
      return (await statfs(keptAt)).type === namespaceFileSystem;
    } catch (error) {
      if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return false;
      throw error;
    }
  }

  async release(keptAt: string): Promise<void> {
    // Lazily: a hanging plugin in the namespace must not block the unmount.
    for (let mounts = 0; mounts < mostMounts && (await this.isKept(keptAt)); mounts++)
      await command("umount", "-l", keptAt);
    await rm(keptAt, { force: true });
  }
}

async function command(file: string, ...args: string[]): Promise<void> {
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
  const { exitCode, stderr } = await runCommand({ file, args, env, deadlineMs: commandDeadlineMs });
  if (exitCode === 0) return;
  const why = stderr.toString("utf8", 0, 500).trim();
  throw new ShimError("failed-precondition", `${file} ${args.join(" ")}: ${why}`, { operation: file });
}
