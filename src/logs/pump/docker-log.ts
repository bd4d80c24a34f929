import type { DockerContainer, LogFrame, LogOptions } from "../../docker/index.js";
import type { LogSource } from "../container-log.js";

export type Phase = "created" | "running" | "ended";

/** The source side of a pump: Docker's log of one container, and Docker's description of the container. */
export class DockerLog {
  /** Docker's description of the container at its start. */
  startedAs: DockerContainer | undefined;

  /** @param known Docker's description of a container that was started before, where it is known. */
  constructor(
    readonly id: string,
    private readonly docker: LogSource,
    private readonly signal: AbortSignal,
    private known: DockerContainer | undefined,
  ) {}

  /** A description of which only those fields are current that do not change once the container was started. */
  async container(): Promise<DockerContainer> {
    this.known ??= this.startedAs ?? (await this.inspect());
    return this.known;
  }

  /** Reads the log. @see DockerContainers.logs */
  async read(options: LogOptions): Promise<AsyncIterable<readonly LogFrame[]>> {
    const { tty: isTerminal } = (await this.container()).config;
    return this.docker.logs(this.id, { ...options, isTerminal });
  }

  /** The container's phase now. */
  async phase(): Promise<Phase> {
    return phaseOf(await this.inspect());
  }

  private inspect(): Promise<DockerContainer> {
    return this.docker.inspect(this.id, { signal: this.signal });
  }
}

export function phaseOf({ state }: DockerContainer): Phase {
  if (state.running) return "running";
  return state.status === "created" && state.startedAtNanos === undefined ? "created" : "ended";
}
