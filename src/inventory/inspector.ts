import { Gate, isKind, messageOf, type Logger } from "../base/index.js";
import type { DockerContainer, DockerService } from "../docker/index.js";
import type { OomKills } from "./oom-kills.js";
import { answered, hasLeft, sentNow, waitLonger, type Entry, type Sent } from "./entry.js";

const inspectsAtOnce = 16;
const inspectPatienceMs = 500;

export type Inspection = { readonly sent: Sent } & (
  | { readonly is: "seen"; readonly docker: DockerContainer }
  | { readonly is: "gone" }
  | { readonly is: "stuck" }
);

export interface InspectorOptions {
  readonly docker: DockerService;
  readonly log: Logger;
  /** Ends the inspects under way. */
  readonly signal: AbortSignal;
  /** Whether a pid of the engine lives; undefined where the engine's processes cannot be seen. */
  readonly isAlive: ((pid: number) => Promise<boolean>) | undefined;
  /** What the kernel of the engine's machine tells; undefined where it is another than ours. */
  readonly oomKills: OomKills | undefined;
  /** Asks for one more inspect. */
  readonly again: (entry: Entry) => void;
}

/** Asks Docker for single containers: not too many at once, each with a deadline of its own. */
export class Inspector {
  private readonly gate = new Gate(inspectsAtOnce, inspectPatienceMs);

  constructor(private readonly options: InspectorOptions) {}

  /** One inspect. It never throws: one that fails is tried again later, on a timer of the entry. */
  async inspect(entry: Entry): Promise<Inspection> {
    return this.gate.run(() => this.ask(entry));
  }

  /** Whether Docker calls a container running whose first process is gone. */
  async processGone({ state }: DockerContainer): Promise<boolean> {
    const { isAlive, log } = this.options;
    if (!isAlive || !state.running || state.pid === undefined) return false;
    try {
      return !(await isAlive(state.pid));
    } catch (error) {
      log.debug({ pid: state.pid, err: messageOf(error) }, "cannot look at a process: Docker is believed");
      return false;
    }
  }

  private async ask(entry: Entry): Promise<Inspection> {
    const sent = sentNow(entry);
    // Its place came late: the entry's timer is for something else by now.
    if (hasLeft(entry)) return { is: "stuck", sent };
    clearTimeout(entry.timer);
    entry.timer = undefined;
    const { docker, oomKills, signal } = this.options;
    try {
      const container = await docker.containers.inspect(entry.id, { deadlineMs: entry.deadlineMs, signal });
      answered(entry);
      return { is: "seen", sent, docker: oomKills ? await oomKills.correct(container) : container };
    } catch (error) {
      if (isKind(error, "not-found")) return { is: "gone", sent };
      if (!signal.aborted && !hasLeft(entry)) this.retryLater(entry, error);
      return { is: "stuck", sent };
    }
  }

  private retryLater(entry: Entry, error: unknown): void {
    const retryInMs = waitLonger(entry);
    this.options.log.warn(
      { container: entry.id, err: messageOf(error), retryInMs },
      "Docker did not answer an inspect: the container is shown as it was last known",
    );
    entry.timer = setTimeout(() => {
      entry.timer = undefined;
      this.options.again(entry);
    }, retryInMs);
    entry.timer.unref();
  }
}
