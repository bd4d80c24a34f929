import { join } from "node:path";
import {
  codeOf,
  fileFailure,
  inject,
  injectable,
  isPassingFailure,
  Logger,
  messageOf,
} from "../base/index.js";
import { ShimConfig } from "../config/index.js";
import { Host, removeTemporaries } from "../host/index.js";
import { decodeCheckpoint, encodeCheckpoint, type SandboxCheckpoint } from "./checkpoint.js";

const idPattern = /^[0-9a-f]{64}$/;

/**
 * One file for each sandbox, named by its id, in cri-dockerd's folder and format, so that a node can change over and
 * back. Without a file, or with a torn one, only the port mappings of one pod are lost.
 */
@injectable()
export class Checkpoints {
  private readonly folder: string;

  constructor(
    @inject(Host) private readonly host: Host,
    @inject(ShimConfig) config: ShimConfig,
    @inject(Logger) private readonly log: Logger,
  ) {
    this.folder = join(config.rootDirectory, "sandbox");
  }

  /** Removes the leftovers of interrupted writes; failures are logged. Call it before any write. */
  async start(): Promise<void> {
    try {
      await removeTemporaries(this.host.files, this.folder, (name) => idPattern.test(name));
    } catch (error) {
      const what = { folder: this.folder, err: messageOf(error) };
      this.log.warn(what, "could not remove leftover files of a crash from the checkpoint directory");
    }
  }

  /**
   * Writes a sandbox's file atomically.
   * @throws ShimError "resource-exhausted" when the disk is full; "permission-denied", "internal".
   */
  async write(sandboxId: string, checkpoint: SandboxCheckpoint): Promise<void> {
    // A pod that was being created does not survive a crash of the machine, so its file may be torn.
    const sync = !checkpoint.unfinished;
    const path = this.path(sandboxId);
    try {
      await this.host.files.writeAtomic(path, encodeCheckpoint(checkpoint), { sync });
    } catch (error) {
      throw fileFailure(`cannot write the checkpoint ${path}`, error);
    }
  }

  /**
   * Reads a sandbox's file; undefined when it is missing or torn, which is logged.
   * @throws ShimError "resource-exhausted" when too many files are open: the file may be whole.
   */
  async read(sandboxId: string): Promise<SandboxCheckpoint | undefined> {
    const path = this.path(sandboxId);
    try {
      const checkpoint = decodeCheckpoint((await this.host.files.read(path)).toString("utf8"));
      if (!checkpoint) this.log.warn({ path }, "skipped a corrupt checkpoint");
      return checkpoint;
    } catch (error) {
      if (isPassingFailure(error)) throw fileFailure(`cannot read the checkpoint ${path}`, error);
      if (codeOf(error) !== "ENOENT")
        this.log.warn({ path, err: messageOf(error) }, "could not read a checkpoint");
      return undefined;
    }
  }

  /** Removes a sandbox's file, or the folder in its place; a missing one is a success. */
  async remove(sandboxId: string): Promise<void> {
    const path = this.path(sandboxId);
    try {
      await this.host.files.remove(path).catch(async (error: unknown) => {
        if (codeOf(error) !== "EISDIR") throw error;
        await this.host.trees.remove(this.folder, sandboxId);
      });
    } catch (error) {
      throw fileFailure(`cannot remove the checkpoint ${path}`, error);
    }
  }

  /** The ids of the sandboxes that have a file. */
  async ids(): Promise<string[]> {
    try {
      return (await this.host.files.list(this.folder)).filter((name) => idPattern.test(name));
    } catch (error) {
      throw fileFailure(`cannot list the checkpoints in ${this.folder}`, error);
    }
  }

  private path(sandboxId: string): string {
    if (!idPattern.test(sandboxId)) throw new TypeError(`not a sandbox id: ${sandboxId}`);
    return join(this.folder, sandboxId);
  }
}
