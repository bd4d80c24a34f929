import { setImmediate as nextTurn } from "node:timers/promises";
import { nowNanos, sleep, type Logger } from "../base/index.js";
import type { DockerContainer, DockerContainerSummary, DockerEvent, DockerService } from "../docker/index.js";
import { shows, untoldEvents, type LifeEvent } from "./changes.js";
import { ContainerTable } from "./container-table.js";
import { eventsAfter, hasLeft, isStuck, momentOf, type Entry, type Sent } from "./entry.js";
import { Inspector, type Inspection } from "./inspector.js";
import type { OomKills } from "./oom-kills.js";
import { afterChange, fromSummary, sameAsListed, type ChangedTo, type ContainerRecord } from "./record.js";

/** How long after a removal Docker's events of it may come. */
const lastEventsMs = 2_000;
/** How long the events of a change of our own wait for its end. */
const changePatienceMs = 100;
/** How long Docker's word on a change of our own may wait for the next one, or for somebody who reads it. */
const confirmAfterMs = 20;
/** How long a list waits for it. */
const listPatienceMs = 100;
/** Rounds in which events overtook the inspect before its answer is taken as it is. */
const overtakenRounds = 3;

/** How many processes are looked at before others get their turn; each takes some 20 microseconds. */
const checksPerTurn = 50;

const lifeActions = new Set(["create", "start", "die", "oom", "pause", "unpause", "rename", "update"]);
/** The actions of containers that {@link ContainerIndex.onEvent} wants to hear of. */
export const containerActions = [...lifeActions, "destroy"];

export interface ContainerIndexOptions {
  readonly docker: DockerService;
  readonly log: Logger;
  /** Whether a pid of the engine lives; undefined where the engine's processes cannot be seen. */
  readonly isAlive: ((pid: number) => Promise<boolean>) | undefined;
  /** What the kernel of the engine's machine tells; undefined where it is another than ours. */
  readonly oomKills: OomKills | undefined;
  /** True: the engine's clock is ours, so an event older than an inspect is contained in it. */
  readonly sameClock: boolean;
  /** Of an image that is known. */
  readonly imageLabels: (imageId: string | undefined) => Readonly<Record<string, string>> | undefined;
  readonly onStep: (step: LifeEvent) => void;
}

/**
 * The containers that exist, each kept true by itself: a changed one is inspected once, off everybody's
 * path, and one whose inspect hangs is shown as it was last known and delays nobody else.
 */
export class ContainerIndex {
  private readonly table: ContainerTable;
  private readonly inspector: Inspector;
  private readonly closed = new AbortController();

  constructor(private readonly options: ContainerIndexOptions) {
    this.table = new ContainerTable(options.log, options.imageLabels, options.onStep);
    this.inspector = new Inspector({
      ...options,
      signal: this.closed.signal,
      again: (entry) => {
        this.ask(entry);
      },
    });
  }

  records(): Iterable<ContainerRecord> {
    return this.table.records();
  }

  get(id: string): ContainerRecord | undefined {
    return this.table.get(id);
  }

  /** What has been told of a container, without what is assumed of it. */
  told(id: string): ContainerRecord | undefined {
    return this.table.told(id);
  }

  /** The containers of a sandbox, in the order in which they were made known. */
  inSandbox(sandboxId: string): ContainerRecord[] {
    return this.table.inSandbox(sandboxId);
  }

  /** Takes an event of a container; the record follows as soon as Docker has been asked. */
  onEvent(event: DockerEvent): void {
    let entry = this.table.find(event.subject);
    if (event.action === "destroy") {
      if (entry) this.table.drop(entry, event.timeNanos);
      return;
    }
    if (!lifeActions.has(event.action)) return;
    if (!entry) {
      const ours = "io.kubernetes.docker.type" in event.attributes;
      if (!ours || !["create", "start", "rename"].includes(event.action)) return;
      entry = this.table.entry(event.subject);
    }
    if (this.options.sameClock && momentOf(event) <= entry.inspectedAtMs) return;
    if (entry.foreign && event.action !== "rename") return;
    const { record, pending } = entry;
    if (record?.provisional === false && pending.length === 0 && shows(record.docker, event)) return;
    pending.push(event);
    // Who asks at this moment looks at what has come meanwhile.
    if (entry.hidden || entry.settling) return;
    const isOwnChange = entry.changing > 0 || entry.assumed !== undefined;
    // Who creates a container takes note of it as soon as Docker has told its id.
    if (!isOwnChange && event.action !== "create") this.ask(entry);
    else this.askLater(entry, changePatienceMs, () => this.isDue(entry, event));
  }

  /** Shows a container that we have just created, until Docker is asked for it. */
  created(docker: DockerContainer): void {
    const entry = this.table.entry(docker.id);
    if (entry.record || hasLeft(entry)) return;
    entry.untold ??= { docker, provisional: true };
    this.assume(entry, docker);
    if (!entry.assumed) this.ask(entry);
  }

  /**
   * Makes a change of one's own and shows what it has made of the container; or what is true, when it fails. Docker
   * is asked a little later: while it works on a container it leaves inspects of it waiting, and they hold it up;
   * and one after several changes in a row tells all.
   * @throws What `work` throws.
   */
  async change(id: string, to: ChangedTo, work: () => Promise<void>): Promise<void> {
    const entry = this.table.entry(id);
    entry.changing++;
    try {
      await work();
    } catch (error) {
      entry.changing--;
      await this.refresh(id);
      throw error;
    }
    entry.changing--;
    const record = this.get(id);
    if (record) this.assume(entry, afterChange(record.docker, to, nowNanos()));
    else if (!hasLeft(entry)) await this.refresh(id);
  }

  /** Asks Docker anew; resolves when the record shows at least what was true when this was called. */
  refresh(id: string): Promise<ContainerRecord | undefined> {
    const entry = this.table.entry(id);
    entry.asked++;
    return this.covered(entry);
  }

  /** Resolves when the record of a container is Docker's word, or Docker is silent on it. */
  async confirmed(id: string): Promise<ContainerRecord | undefined> {
    const entry = this.table.find(id);
    return entry?.assumed && !isStuck(entry) ? await this.covered(entry) : this.get(id);
  }

  /**
   * Resolves when all records are Docker's word but for those that Docker is changing or silent on, or when that
   * takes long.
   */
  async allConfirmed(): Promise<void> {
    const assumed = [...this.table.all()].filter(
      (entry) => entry.assumed && entry.changing === 0 && !isStuck(entry),
    );
    if (assumed.length === 0) return;
    const late = new AbortController();
    const patience = sleep(listPatienceMs, late.signal).catch(() => undefined);
    await Promise.race([Promise.all(assumed.map((entry) => this.covered(entry))), patience]);
    late.abort();
  }

  /**
   * Shows a container no more that is known to be gone. How one ended that was running until now is told by
   * events that may still be on their way.
   */
  forget(id: string): void {
    const entry = this.table.find(id);
    if (!entry || entry.hidden) return;
    entry.hidden = true;
    clearTimeout(entry.timer);
    if (this.closed.signal.aborted) return;
    entry.timer = setTimeout(() => {
      this.table.drop(entry, nowNanos());
    }, lastEventsMs);
    entry.timer.unref();
  }

  /**
   * Brings the index in line with a full list: unknown containers are inspected, vanished ones dropped.
   * @param everything Inspect every container, as after a gap in the events; else those that differ.
   * @param listedAtMs When the list was asked for; what was made known later is left alone.
   * @returns How many differed from what was known.
   */
  async reconcile(
    list: readonly DockerContainerSummary[],
    listedAtMs: number,
    everything: boolean,
  ): Promise<number> {
    const listed = new Set(list.map((summary) => summary.id));
    let differing = 0;
    for (const entry of [...this.table.all()]) {
      const awaited = entry.settling !== undefined || entry.pending.length > 0 || entry.assumed !== undefined;
      if (listed.has(entry.id) || entry.inspectedAtMs >= listedAtMs || awaited || entry.hidden) continue;
      differing++;
      this.table.drop(entry, nowNanos());
    }
    const asked: Promise<unknown>[] = [];
    for (const summary of list) {
      const known = this.table.find(summary.id);
      // One that is being asked for, or hangs and is tried again later, is looked after already.
      const awaited =
        known !== undefined &&
        (known.settling !== undefined ||
          known.timer !== undefined ||
          known.assumed !== undefined ||
          known.foreign);
      const differs = !awaited && !(known?.record && sameAsListed(known.record, summary));
      if (differs) differing++;
      if (everything || differs) asked.push(this.refreshListed(summary));
    }
    await Promise.all(asked);
    return differing;
  }

  /**
   * Has each running container inspected whose process is gone, and waits for none of these inspects. Where Docker
   * hangs already, one more would only hang longer.
   */
  async checkProcesses(): Promise<void> {
    const entries = [...this.table.all()];
    for (let start = 0; start < entries.length; start += checksPerTurn) {
      const some = entries.slice(start, start + checksPerTurn);
      await Promise.all(some.map((entry) => this.checkProcess(entry)));
      await nextTurn();
    }
  }

  /** Ends all work; nothing is left running. */
  close(): void {
    this.closed.abort();
    for (const entry of this.table.all()) clearTimeout(entry.timer);
  }

  private async refreshListed(summary: DockerContainerSummary): Promise<void> {
    await this.refresh(summary.id);
    const entry = this.table.find(summary.id);
    if (entry && !entry.record && !entry.foreign)
      this.table.accept(entry, fromSummary(summary), { provisional: true });
  }

  private assume(entry: Entry, docker: DockerContainer): void {
    // An inspect that is under way does not show the change.
    entry.asked++;
    this.table.assume(entry, docker);
    this.askLater(entry, confirmAfterMs, () => entry.assumed !== undefined && entry.changing === 0);
  }

  /** Asks after a while, if there is still something to ask for then. */
  private askLater(entry: Entry, afterMs: number, isDue: () => boolean): void {
    setTimeout(() => {
      if (!hasLeft(entry) && !entry.settling && isDue()) this.begin(entry);
    }, afterMs).unref();
  }

  /** An own change that follows a create asks at its end, and a create alone is not worth holding it up for. */
  private isDue({ pending, changing }: Entry, event: DockerEvent): boolean {
    return pending.includes(event) && (changing === 0 || event.action !== "create");
  }

  private ask(entry: Entry): void {
    entry.asked++;
    if (!entry.settling) this.begin(entry);
  }

  /** Resolves when an inspect has been taken that shows all that was asked for until now. */
  private async covered(entry: Entry): Promise<ContainerRecord | undefined> {
    const ticket = entry.asked;
    if (!entry.settling) this.begin(entry);
    while (entry.covered < ticket && !entry.gone && entry.settling) await entry.settling;
    return this.get(entry.id);
  }

  private begin(entry: Entry): void {
    entry.settling = this.settle(entry)
      .catch((error: unknown) => {
        this.options.log.error({ container: entry.id, err: error }, "the inventory failed on a container");
      })
      .finally(() => {
        entry.settling = undefined;
        // Something may have come after the last round had looked.
        if (this.isBehind(entry)) this.begin(entry);
      });
  }

  private async settle(entry: Entry): Promise<void> {
    // Lets what happens in the same turn be covered by one inspect.
    await Promise.resolve();
    let overtaken = 0;
    while (this.isBehind(entry)) {
      const inspection = await this.inspector.inspect(entry);
      if (hasLeft(entry)) return;
      const behind = inspection.is === "seen" && this.untoldAfter(entry, inspection).length > 0;
      if (behind && ++overtaken < overtakenRounds) {
        entry.untold = { docker: inspection.docker, provisional: false };
        continue;
      }
      entry.covered = inspection.sent.ticket;
      await this.take(entry, inspection);
    }
  }

  private isBehind(entry: Entry): boolean {
    const isDue = entry.covered < entry.asked || entry.pending.length > 0;
    return isDue && !hasLeft(entry) && !this.closed.signal.aborted;
  }

  private async take(entry: Entry, inspection: Inspection): Promise<void> {
    if (inspection.is === "gone") {
      this.table.drop(entry, entry.pending.at(-1)?.timeNanos ?? nowNanos());
      return;
    }
    if (inspection.is === "stuck") {
      this.table.acceptPending(entry);
      await this.markGhost(entry);
      return;
    }
    const { docker, sent } = inspection;
    const processGone = await this.inspector.processGone(docker);
    if (hasLeft(entry)) return;
    const later = this.untoldAfter(entry, { docker, sent });
    const before = entry.pending.filter((event) => !later.includes(event));
    entry.pending = later;
    entry.untold = undefined;
    if (sent.ticket === entry.asked) entry.assumed = undefined;
    entry.inspectedAtMs = sent.atMs;
    this.table.acceptEvents(entry, untoldEvents(before, docker, entry.record));
    this.table.accept(entry, docker, { processGone });
  }

  /** The events after an inspect was sent that its answer does not show all the same. */
  private untoldAfter(
    entry: Entry,
    { docker, sent }: { docker: DockerContainer; sent: Sent },
  ): DockerEvent[] {
    return eventsAfter(entry, sent, this.options.sameClock).filter((event) => !shows(docker, event));
  }

  private async checkProcess(entry: Entry): Promise<void> {
    if (isStuck(entry)) await this.markGhost(entry);
    else if (!entry.settling && (await this.isGhost(entry))) this.ask(entry);
  }

  /** What Docker is silent on is no longer running once its process is gone, as after a daemon that it outlived. */
  private async markGhost(entry: Entry): Promise<void> {
    const { record } = entry;
    if (record && (await this.isGhost(entry))) entry.record = { ...record, processGone: true };
  }

  private async isGhost(entry: Entry): Promise<boolean> {
    const { record } = entry;
    if (!record || record.processGone || !(await this.inspector.processGone(record.docker))) return false;
    return entry.record === record && !hasLeft(entry);
  }
}
