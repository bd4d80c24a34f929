import type { HostNamespaces } from "../../../host/index.js";
import type { FileTree } from "./file-tree.js";
import { fsError } from "./fs-error.js";
import type { HostFaults } from "./host-faults.js";

/** Namespaces are special files; a mounted one is an additional file. */
export class MemoryNamespaces implements HostNamespaces {
  private readonly kept = new Set<string>();

  constructor(
    private readonly tree: FileTree,
    private readonly faults: HostFaults,
  ) {}

  async keep(path: string, keptAt: string): Promise<void> {
    await this.faults.meet("namespaces.keep", path);
    if (this.kept.has(keptAt)) return;
    if (this.tree.stat(path) === undefined) throw fsError("ENOENT", "mount", path);
    this.tree.special(keptAt);
    this.kept.add(keptAt);
  }

  async isKept(keptAt: string): Promise<boolean> {
    await this.faults.meet("namespaces.isKept", keptAt);
    return this.kept.has(keptAt);
  }

  async release(keptAt: string): Promise<void> {
    await this.faults.meet("namespaces.release", keptAt);
    this.kept.delete(keptAt);
    this.tree.removeAll(keptAt);
  }
}
