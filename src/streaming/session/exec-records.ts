import { messageOf } from "../../base/index.js";
import { killExec, type EndingExec, type ExecContext } from "../../containers/index.js";

const execId = /^[0-9a-f]{64}$/;

/**
 * Records on disk of the execs with a client of this process, so that after a crash the next process can end them. A
 * record is a file named by the exec's id.
 */
export class ExecRecords {
  private readonly directory: string;

  constructor(
    private readonly context: ExecContext,
    rootDirectory: string,
  ) {
    this.directory = `${rootDirectory}/streaming/execs`;
  }

  /** Records an exec as it starts. On a full disk the exec starts without a record. */
  async add({ id, containerId, mark }: EndingExec): Promise<void> {
    const { host, log } = this.context;
    try {
      const content = JSON.stringify({ containerId, mark });
      await host.files.writeAtomic(`${this.directory}/${id}`, content, { sync: false });
    } catch (error) {
      log.warn(
        { exec: id, err: messageOf(error) },
        "could not write the record of an exec: if docker-cri crashes, its process is not killed",
      );
    }
  }

  /**
   * Kills an exec, and removes its record once it is gone. After a failed attempt the kill is retried in the background,
   * and at the next start.
   */
  async kill(exec: EndingExec): Promise<void> {
    await killExec(exec, this.context, () => this.remove(exec.id));
  }

  /** Removes the record, after the process has ended. */
  async remove(id: string): Promise<void> {
    const { host, log } = this.context;
    try {
      await host.files.remove(`${this.directory}/${id}`);
    } catch (error) {
      log.warn({ exec: id, err: messageOf(error) }, "could not remove the record of an exec");
    }
  }

  /** Names of the records. Those from before the first exec of this process are of an earlier one. */
  async list(): Promise<readonly string[]> {
    return await this.context.host.files.list(this.directory);
  }

  /** Ends the execs of some records; one that cannot be read is removed. */
  async endLeftovers(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const exec = execId.test(name) ? await this.read(name) : undefined;
      await (exec ? this.kill(exec) : this.remove(name));
    }
  }

  private async read(id: string): Promise<EndingExec | undefined> {
    try {
      const content = await this.context.host.files.read(`${this.directory}/${id}`);
      const { containerId, mark } = JSON.parse(content.toString("utf8")) as Partial<EndingExec>;
      if (typeof containerId === "string" && typeof mark === "string") return { id, containerId, mark };
    } catch (error) {
      this.context.log.warn({ exec: id, err: messageOf(error) }, "could not read the record of an exec");
    }
    return undefined;
  }
}
