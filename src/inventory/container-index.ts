import { setImmediate as nextTurn } from "node:timers/promises";
import { Gate, nowNanos, RepeatedWarning, type Logger } from "../base/index.js";
import type { DockerContainer, DockerContainerSummary, DockerEvent } from "../docker/index.js";
import {
  isPresent,
  isSettling,
  isStuck,
  newContainer,
  nextState,
  type ContainerInput,
  type ContainerState,
} from "./container-state.js";
import type { Inspector } from "./inspector.js";
import type { LifeEvent } from "./life-events.js";
import { fromCreateEvent, fromSummary, sameAsListed, type ContainerRecord } from "./record.js";

const inspectsAtOnce = 16;
/** An inspect that takes longer no longer counts as one of those. */
const inspectPatienceMs = 500;
/** Checking one process takes some 20 microseconds; other work runs in between. */
const checksPerTurn = 50;

const lifeActions = ["create", "start", "die", "oom", "pause", "unpause", "rename", "update"];
/** The container actions that {@link ContainerIndex.onEvent} needs. */
export const containerActions = [...lifeActions, "destroy"];

export interface ContainerIndexOptions {
  readonly inspector: Inspector;
  readonly log: Logger;
  /** True when the engine's clock is ours: then an event older than an inspect is contained in it. */
  readonly sameClock: boolean;
  readonly onLifeEvent: (event: LifeEvent) => void;
}

/** A container's state, and the I/O that is under way for it. */
interface Entry {
  readonly id: string;
  state: ContainerState;
  timer: NodeJS.Timeout | undefined;
  /** The inspect that is sent, and the one that follows it. */
  sent: Promise<void> | undefined;
  queued: Promise<void> | undefined;
}

/**
 * The containers that exist. Each has a state machine of its own (container-state.ts); this class feeds it events,
 * answers and timeouts, and sends the inspects that it asks for. A container whose inspect hangs is shown as last
 * known and delays no other.
 */
export class ContainerIndex {
  private readonly entries = new Map<string, Entry>();
  private readonly bySandbox = new Map<string, Set<string>>();
  private readonly gate = new Gate(inspectsAtOnce, inspectPatienceMs);
  private readonly closed = new AbortController();

  private readonly unanswered: RepeatedWarning;

  constructor(private readonly options: ContainerIndexOptions) {
    this.unanswered = new RepeatedWarning(options.log, {
      failing: "Docker did not answer an inspect: containers are shown as last known",
      recovered: "Docker answers the inspects of all containers again",
    });
  }

  *records(): Iterable<ContainerRecord> {
    for (const { state } of this.entries.values()) if (isPresent(state) && state.record) yield state.record;
  }

  get(id: string): ContainerRecord | undefined {
    const state = this.entries.get(id)?.state;
    return state && isPresent(state) ? state.record : undefined;
  }

  /** The containers of a sandbox, in the order in which they became known. */
  inSandbox(sandboxId: string): ContainerRecord[] {
    return [...(this.bySandbox.get(sandboxId) ?? [])].flatMap((id) => this.get(id) ?? []);
  }

  /**
   * Handles an event of a container; the record is updated once Docker has answered an inspect. The create event
   * describes a container that is removed before that.
   */
  onEvent(event: DockerEvent): void {
    if (!containerActions.includes(event.action)) return;
    const { subject, action, attributes } = event;
    const begins =
      ["create", "start", "rename"].includes(action) && "io.kubernetes.docker.type" in attributes;
    const entry = begins ? this.entry(subject) : this.entries.get(subject);
    const happenedAtMs = this.options.sameClock ? monotonicMsOf(event) : undefined;
    if (!entry) return;
    if (action === "create" && !entry.state.fallback) {
      const record = this.options.inspector.read(fromCreateEvent(event), { provisional: true });
      this.dispatch(entry, { kind: "described", record });
    }
    this.dispatch(entry, { kind: "event", event, happenedAtMs });
  }

  /** Resolves when the record reflects Docker's state as of this call, or Docker has left an inspect unanswered. */
  async refresh(id: string): Promise<ContainerRecord | undefined> {
    await this.inspect(this.entry(id));
    return this.get(id);
  }

  /** The same for a container that is known from elsewhere; that description is shown while Docker does not answer. */
  async describe(docker: DockerContainer): Promise<void> {
    const record = this.options.inspector.read(docker, { provisional: true });
    this.dispatch(this.entry(docker.id), { kind: "described", record });
    await this.refresh(docker.id);
  }

  /** Hides a container that was removed. Docker's late events still show how it ended. */
  removed(id: string): void {
    const entry = this.entries.get(id);
    if (entry) this.dispatch(entry, { kind: "removed" });
  }

  /**
   * Brings the index in line with a full list: unknown containers are inspected, missing ones end. Containers on which
   * Docker already hangs are not waited for.
   * @param everything Inspect every container, as after a gap in the events; otherwise those that differ.
   * @param listedAtMs When the list was requested; what became known later stays.
   * @returns How many containers differed from what was known.
   */
  async reconcile(
    list: readonly DockerContainerSummary[],
    listedAtMs: number,
    everything: boolean,
  ): Promise<number> {
    const listed = new Set(list.map((summary) => summary.id));
    let differing = 0;
    for (const entry of [...this.entries.values()]) {
      const { state } = entry;
      if (listed.has(entry.id) || state.inspectedAtMs >= listedAtMs) continue;
      if (!isPresent(state) || isSettling(state) || entry.queued) continue;
      differing++;
      this.dispatch(entry, { kind: "not-found" });
    }
    const inspects: Promise<void>[] = [];
    for (const summary of list) {
      const entry = this.entries.get(summary.id);
      // A container that is being inspected, or is retried after a hang, needs no second inspect.
      const handled =
        entry && (isSettling(entry.state) || entry.queued !== undefined || entry.state.phase === "foreign");
      const record = entry?.state.record;
      const differs = !handled && !(record && sameAsListed(record, summary));
      if (differs) differing++;
      if (!everything && !differs) continue;
      const described = this.describe(fromSummary(summary));
      if (!entry || !isStuck(entry.state)) inspects.push(described);
    }
    await Promise.all(inspects);
    return differing;
  }

  /**
   * Inspects each container that runs without a process, and does not wait for these inspects. Where Docker hangs
   * already, the container is marked instead.
   */
  async checkProcesses(): Promise<void> {
    const entries = [...this.entries.values()];
    for (let start = 0; start < entries.length; start += checksPerTurn) {
      const some = entries.slice(start, start + checksPerTurn);
      await Promise.all(some.map((entry) => this.checkProcess(entry)));
      await nextTurn();
    }
  }

  /** Ends all work; leaves no timer behind. */
  close(): void {
    this.closed.abort();
    for (const { timer } of this.entries.values()) clearTimeout(timer);
  }

  private isClosed(): boolean {
    return this.closed.signal.aborted;
  }

  private entry(id: string): Entry {
    let entry = this.entries.get(id);
    if (!entry) {
      entry = { id, state: newContainer, timer: undefined, sent: undefined, queued: undefined };
      this.entries.set(id, entry);
    }
    return entry;
  }

  /** Runs one transition and does what it asks for. */
  private dispatch(entry: Entry, input: ContainerInput): void {
    if (this.isClosed()) return;
    const before = entry.state;
    const { state, lifeEvents, next } = nextState(before, input, nowNanos());
    entry.state = state;
    this.index(entry, before.record, state);
    if (state.timer === undefined || typeof next === "object") clearTimeout(entry.timer);
    if (typeof next === "object") {
      entry.timer = setTimeout(() => {
        this.dispatch(entry, { kind: "timeout" });
      }, next.timeoutMs);
      entry.timer.unref();
    }
    for (const event of lifeEvents) this.options.onLifeEvent(event);
    if (next === "inspect") void this.inspect(entry);
  }

  private index(entry: Entry, before: ContainerRecord | undefined, { phase, record }: ContainerState): void {
    const { id } = entry;
    if (phase === "gone") {
      this.entries.delete(id);
      this.unanswered.of(id).forget();
    }
    const was = before && sandboxOf(before);
    const is = phase === "gone" || !record ? undefined : sandboxOf(record);
    if (was === is) return;
    if (was !== undefined) {
      const ids = this.bySandbox.get(was);
      ids?.delete(id);
      if (ids?.size === 0) this.bySandbox.delete(was);
    }
    if (is === undefined) return;
    const ids = this.bySandbox.get(is) ?? new Set();
    this.bySandbox.set(is, ids.add(id));
  }

  /** Resolves when an inspect has been answered, or left unanswered, that was sent after this call. */
  private inspect(entry: Entry): Promise<void> {
    return (entry.queued ??= this.inspectNext(entry).catch((error: unknown) => {
      this.options.log.error(
        { container: entry.id, err: error },
        "could not process a container's events: please report this as a bug",
      );
    }));
  }

  private async inspectNext(entry: Entry): Promise<void> {
    await entry.sent;
    await this.gate.run(() => {
      entry.queued = undefined;
      return (entry.sent = this.inspectNow(entry));
    });
  }

  private async inspectNow(entry: Entry): Promise<void> {
    if (this.isClosed() || !isPresent(entry.state)) return;
    const { deadlineMs, phase } = entry.state;
    this.dispatch(entry, { kind: "inspecting", sentAtMs: performance.now() });
    const { inspector, log } = this.options;
    const answer = await inspector.inspect(entry.id, { deadlineMs, signal: this.closed.signal });
    this.dispatch(entry, answer);
    if (this.isClosed()) return;
    if (answer.kind === "inspected") this.unanswered.of(entry.id).recovered();
    if (answer.kind === "unanswered") {
      this.unanswered.of(entry.id, { retryInMs: deadlineMs }).failed(answer.error);
      await this.markIfProcessGone(entry);
    } else if (answer.kind === "inspected" && entry.state.phase === "foreign" && phase !== "foreign") {
      const { name } = answer.docker;
      log.warn(
        { container: entry.id, name },
        "skipped a container: its name or labels are not those of a pod",
      );
    }
  }

  private async checkProcess(entry: Entry): Promise<void> {
    if (isStuck(entry.state)) await this.markIfProcessGone(entry);
    else if (!isSettling(entry.state) && (await this.hasLostProcess(entry))) void this.inspect(entry);
  }

  /** After a daemon that hangs, a container whose process has ended must not be shown as running. */
  private async markIfProcessGone(entry: Entry): Promise<void> {
    if (await this.hasLostProcess(entry)) this.dispatch(entry, { kind: "process-gone" });
  }

  private async hasLostProcess(entry: Entry): Promise<boolean> {
    const { record } = entry.state;
    if (!record || record.processGone || !(await this.options.inspector.isProcessGone(record.docker)))
      return false;
    return entry.state.record === record && isPresent(entry.state);
  }
}

function sandboxOf(record: ContainerRecord): string | undefined {
  return record.kind === "container" ? record.sandboxId : undefined;
}

/**
 * When an event of this machine's engine happened, on the clock of `performance.now()`, at most a millisecond late.
 * The offset is computed for each event: a wall clock that is set back must not make later events look older.
 */
export function monotonicMsOf({ timeNanos }: DockerEvent): number {
  return Number(timeNanos / 1_000n) / 1_000 - (Date.now() - performance.now());
}
