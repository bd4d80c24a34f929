import { isKind, messageOf, sleep, type Logger } from "../base/index.js";
import type { DockerContainer, DockerService } from "../docker/index.js";
import type { ContainerInput } from "./container-state.js";
import type { OomKills } from "./oom-kills.js";
import { toRecord, type ContainerRecord, type RecordMarks } from "./record.js";

/** The answer to one inspect, as an input of the container's state machine. */
export type InspectAnswer =
  | (Extract<ContainerInput, { kind: "inspected" }> & { readonly docker: DockerContainer })
  | { readonly kind: "not-found" }
  | { readonly kind: "unanswered"; readonly error: unknown };

/** The waits before a container is inspected anew whose process is gone while Docker calls it running, in milliseconds. */
const againAfterMs = [20, 100, 400];

export interface InspectorOptions {
  readonly docker: DockerService;
  readonly log: Logger;
  /** Whether a process of the engine's machine exists; undefined where its processes are not visible. */
  readonly isAlive: ((pid: number) => Promise<boolean>) | undefined;
  /** The out-of-memory kills that the kernel has logged; undefined where the engine runs on another machine. */
  readonly oomKills: OomKills | undefined;
  /** The labels of an image; undefined while the image is not known. */
  readonly imageLabels: (imageId: string | undefined) => Readonly<Record<string, string>> | undefined;
}

/** Inspects containers, reads them as records, and corrects what the node knows better than Docker. */
export class Inspector {
  constructor(private readonly options: InspectorOptions) {}

  /** Never throws. */
  async inspect(
    id: string,
    limits: { readonly deadlineMs: number; readonly signal: AbortSignal },
  ): Promise<InspectAnswer> {
    const { docker, oomKills } = this.options;
    try {
      let inspected = await docker.containers.inspect(id, limits);
      let processGone = await this.isProcessGone(inspected);
      // Docker learns of an end a moment after it. A kubelet would run a container anew that it sees in an unknown state.
      for (const waitMs of againAfterMs) {
        if (!processGone) break;
        await sleep(waitMs, limits.signal);
        inspected = await docker.containers.inspect(id, limits);
        processGone = await this.isProcessGone(inspected);
      }
      const corrected = oomKills ? await oomKills.correct(inspected) : inspected;
      return { kind: "inspected", docker: corrected, record: this.read(corrected, { processGone }) };
    } catch (error) {
      return isKind(error, "not-found") ? { kind: "not-found" } : { kind: "unanswered", error };
    }
  }

  /** The record of a container; undefined when it is not ours. */
  read(docker: DockerContainer, marks: RecordMarks): ContainerRecord | undefined {
    return toRecord(docker, marks, this.options.imageLabels(docker.imageId));
  }

  /** Whether Docker calls a container running whose first process does not exist. */
  async isProcessGone({ state }: DockerContainer): Promise<boolean> {
    const { isAlive, log } = this.options;
    if (!isAlive || !state.running || state.pid === undefined) return false;
    try {
      return !(await isAlive(state.pid));
    } catch (error) {
      log.debug({ pid: state.pid, err: messageOf(error) }, "cannot check a process: Docker's state is used");
      return false;
    }
  }
}
