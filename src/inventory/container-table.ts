import { nowNanos, type Logger } from "../base/index.js";
import type { DockerContainer, DockerEvent } from "../docker/index.js";
import { lastSteps, mayShow, stepsBetween, type LifeEvent } from "./changes.js";
import { newEntry, type Entry } from "./entry.js";
import { afterEvent, toRecord, type ContainerRecord, type RecordMarks } from "./record.js";

/** The entries and what is shown of them. Every change of a record passes here and is told as steps. */
export class ContainerTable {
  private readonly entries = new Map<string, Entry>();
  private readonly bySandbox = new Map<string, Set<string>>();

  constructor(
    private readonly log: Logger,
    /** Of an image that is known. */
    private readonly imageLabels: (
      imageId: string | undefined,
    ) => Readonly<Record<string, string>> | undefined,
    private readonly onStep: (step: LifeEvent) => void,
  ) {}

  all(): Iterable<Entry> {
    return this.entries.values();
  }

  find(id: string): Entry | undefined {
    return this.entries.get(id);
  }

  /** The entry of an id, made where there is none. */
  entry(id: string): Entry {
    let entry = this.entries.get(id);
    if (!entry) this.entries.set(id, (entry = newEntry(id)));
    return entry;
  }

  *records(): Iterable<ContainerRecord> {
    for (const entry of this.entries.values()) {
      const record = shown(entry);
      if (record) yield record;
    }
  }

  get(id: string): ContainerRecord | undefined {
    const entry = this.entries.get(id);
    return entry && shown(entry);
  }

  /** What has been told of a container that is still shown, without what is assumed of it. */
  told(id: string): ContainerRecord | undefined {
    const entry = this.entries.get(id);
    return entry?.hidden ? undefined : entry?.record;
  }

  /** The containers of a sandbox, in the order in which they were made known. */
  inSandbox(sandboxId: string): ContainerRecord[] {
    return [...(this.bySandbox.get(sandboxId) ?? [])].flatMap((id) => this.get(id) ?? []);
  }

  /** Shows what a change of our own has made of a container; the steps are told with Docker's own word. */
  assume(entry: Entry, docker: DockerContainer): void {
    entry.assumed = toRecord(docker, { provisional: true }, this.imageLabels(docker.imageId));
    if (entry.assumed?.kind === "container") this.link(entry.assumed.sandboxId, entry.id);
  }

  /** Takes what is now known of a container. */
  accept(entry: Entry, docker: DockerContainer, marks: RecordMarks): void {
    const record = toRecord(docker, marks, this.imageLabels(docker.imageId));
    if (!record) {
      this.leaveAlone(entry, docker);
      return;
    }
    const before = entry.record;
    entry.record = record;
    entry.foreign = false;
    if (record.kind === "container") this.link(record.sandboxId, record.id);
    for (const step of stepsBetween(before, record, nowNanos())) this.onStep(step);
  }

  /** Takes what the pending events tell, where Docker's own word cannot be had. */
  acceptPending(entry: Entry): void {
    const { untold } = entry;
    entry.untold = entry.assumed = undefined;
    if (!entry.record && untold) this.accept(entry, untold.docker, untold);
    this.acceptEvents(entry, entry.pending.splice(0));
  }

  /** Takes what events tell, without Docker's own word. */
  acceptEvents(entry: Entry, events: readonly DockerEvent[]): void {
    for (const event of events) {
      const { record } = entry;
      if (!record || (!record.provisional && mayShow(record.docker, event))) continue;
      this.accept(entry, afterEvent(record.docker, event), { provisional: true });
    }
  }

  /** Ends an entry: its container is no more. */
  drop(entry: Entry, timeNanos: bigint): void {
    if (entry.gone) return;
    this.acceptPending(entry);
    entry.gone = true;
    clearTimeout(entry.timer);
    this.entries.delete(entry.id);
    if (entry.record) this.tellEnd(entry.record, timeNanos);
  }

  private leaveAlone(entry: Entry, { name }: DockerContainer): void {
    this.log.warn({ container: entry.id, name }, "skipped a container: its name or labels are not ours");
    const { record, assumed } = entry;
    entry.record = entry.assumed = undefined;
    entry.foreign = true;
    if (assumed?.kind === "container") this.unlink(assumed.sandboxId, entry.id);
    if (record) this.tellEnd(record, nowNanos());
  }

  private link(sandboxId: string, id: string): void {
    let ids = this.bySandbox.get(sandboxId);
    if (!ids) this.bySandbox.set(sandboxId, (ids = new Set()));
    ids.add(id);
  }

  private unlink(sandboxId: string, id: string): void {
    const ids = this.bySandbox.get(sandboxId);
    ids?.delete(id);
    if (ids?.size === 0) this.bySandbox.delete(sandboxId);
  }

  private tellEnd(record: ContainerRecord, timeNanos: bigint): void {
    if (record.kind === "container") this.unlink(record.sandboxId, record.id);
    for (const step of lastSteps(record, timeNanos)) this.onStep(step);
  }
}

function shown({ record, assumed, hidden }: Entry): ContainerRecord | undefined {
  return hidden ? undefined : (assumed ?? record);
}
