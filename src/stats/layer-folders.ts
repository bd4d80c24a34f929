import { posix } from "node:path";
import type { Host } from "../host/index.js";
import type { ContainerRecord, Inventory } from "../inventory/index.js";

/** The folder of a writable layer. */
export interface LayerFolder {
  readonly folder: string;
  /** A copy of the image. The layer began as another copy: only the differences count. */
  readonly unlessIn?: string;
}

/** Finds the directories of writable layers, from Docker's inspect or the mount table. */
export class LayerFolders {
  /** With containerd's store the folder is known only for a running container. */
  private readonly seen = new Map<string, LayerFolder>();

  constructor(
    private readonly host: Host,
    private readonly inventory: Inventory,
  ) {}

  /** Undefined if it is unknown. */
  async of(record: ContainerRecord): Promise<LayerFolder | undefined> {
    const { info } = this.inventory.engine();
    const { upperDirectory } = record.docker;
    if (upperDirectory !== undefined) return { folder: upperDirectory };
    const found =
      info.storageDriver === "vfs" && !info.containerdImageStore
        ? await this.ofVfs(record.id, info.rootDirectory ?? "")
        : this.ofProcess(record);
    if (found) this.seen.set(record.id, found);
    return found ?? this.seen.get(record.id);
  }

  /** Drops all other containers. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.seen.keys()) if (!ids.has(id)) this.seen.delete(id);
  }

  /** For the vfs driver: Docker's metadata name the folder, and that of a copy of the image. */
  private async ofVfs(id: string, root: string): Promise<LayerFolder | undefined> {
    const note = `${root}/image/vfs/layerdb/mounts/${id}/mount-id`;
    const name = await this.host.files.read(note).then(
      (content) => content.toString("utf8").trim(),
      () => "",
    );
    if (!/^[0-9a-f]{64}$/.test(name)) return undefined;
    return { folder: `${root}/vfs/dir/${name}`, unlessIn: `${root}/vfs/dir/${name}-init` };
  }

  /** The upper folder of the container's root, from its mount table. */
  private ofProcess({ id, docker }: ContainerRecord): LayerFolder | undefined {
    const { pid } = docker.state;
    if (pid === undefined || !docker.state.running) return undefined;
    const mounts = this.host.kernel.readNow(`/proc/${pid}/mountinfo`);
    // Checked afterwards: another process may have reused the pid.
    const isSame = this.host.kernel.readNow(`/proc/${pid}/cgroup`)?.includes(id);
    const folder = mounts !== undefined && isSame ? upperFolderOf(mounts) : undefined;
    return folder === undefined ? undefined : { folder };
  }
}

/** The upper folder of the overlay that is mounted at the root. @see proc_pid_mountinfo(5); kernel, overlayfs */
export function upperFolderOf(mountinfo: string): string | undefined {
  for (const line of mountinfo.split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    const [type, , options = ""] = right.split(" ");
    if (left.split(" ")[4] !== "/" || type !== "overlay") continue;
    const upper = /(?:^|,)upperdir=([^,]+)/.exec(options)?.[1];
    return upper && posix.isAbsolute(upper) ? upper : undefined;
  }
  return undefined;
}
