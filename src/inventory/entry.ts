import type { DockerContainer, DockerEvent } from "../docker/index.js";
import type { ContainerRecord } from "./record.js";

const firstInspectMs = 2_000;
const longestInspectMs = 30_000;

/** One container that is, or may be, ours. */
export interface Entry {
  readonly id: string;
  /** What has been told of it. */
  record: ContainerRecord | undefined;
  /** What a change of our own has made of it, until Docker's answer to a later inspect is there. */
  assumed: ContainerRecord | undefined;
  /** Events that no inspect has shown yet, oldest first. */
  pending: DockerEvent[];
  /** What it was like before its pending events, where that has not been told: as created, or as last inspected. */
  untold: { readonly docker: DockerContainer; readonly provisional: boolean } | undefined;
  /** Inspects asked for, and the number that the last finished one covers. */
  asked: number;
  covered: number;
  /** When the last inspect that was taken was sent, as {@link monotonicMs} has it. */
  inspectedAtMs: number;
  settling: Promise<void> | undefined;
  /** Calls of our own that are changing it. */
  changing: number;
  /** How long the next inspect may take; grows while Docker hangs on this container. */
  deadlineMs: number;
  /** Of the next try after a hang; or, once hidden, of the end of the wait for Docker's event. */
  timer: NodeJS.Timeout | undefined;
  /** Removed by ourselves: shown no more, while the events that tell of its end are still to come. */
  hidden: boolean;
  /** It bears our label, but its name or labels say nothing: looked at once and then left alone. */
  foreign: boolean;
  gone: boolean;
}

export function newEntry(id: string): Entry {
  return {
    id,
    record: undefined,
    assumed: undefined,
    pending: [],
    untold: undefined,
    asked: 0,
    covered: 0,
    inspectedAtMs: -Infinity,
    settling: undefined,
    changing: 0,
    deadlineMs: firstInspectMs,
    timer: undefined,
    hidden: false,
    foreign: false,
    gone: false,
  };
}

/** True once nobody is to see the container any more. */
export function hasLeft(entry: Entry): boolean {
  return entry.gone || entry.hidden;
}

/** True while Docker has left the last inspect unanswered. */
export function isStuck(entry: Entry): boolean {
  return entry.deadlineMs > firstInspectMs;
}

/** The next inspect gets more time, to a limit. @returns How long this one had, in milliseconds. */
export function waitLonger(entry: Entry): number {
  const { deadlineMs } = entry;
  entry.deadlineMs = Math.min(deadlineMs * 2, longestInspectMs);
  return deadlineMs;
}

export function answered(entry: Entry): void {
  entry.deadlineMs = firstInspectMs;
}

/** An inspect on its way: when it was sent, and what had been asked for and had happened by then. */
export interface Sent {
  readonly atMs: number;
  readonly ticket: number;
  readonly events: number;
}

export function sentNow(entry: Entry): Sent {
  return { atMs: monotonicMs(), ticket: entry.asked, events: entry.pending.length };
}

/** Milliseconds on a clock that nobody sets. */
export function monotonicMs(): number {
  return performance.now();
}

/**
 * When an event of this machine's engine happened, as {@link monotonicMs} has it, up to a millisecond late. It is
 * worked out anew for each: whoever sets the clock back must not make what comes then look like the past.
 */
export function momentOf({ timeNanos }: DockerEvent): number {
  return Number(timeNanos / 1_000n) / 1_000 - (Date.now() - monotonicMs());
}

/**
 * The events that an inspect cannot have shown.
 * @param sameClock True: an event older than the inspect is contained in it, whenever it comes.
 */
export function eventsAfter({ pending }: Entry, sent: Sent, sameClock: boolean): DockerEvent[] {
  return pending.slice(sent.events).filter((event) => !sameClock || momentOf(event) > sent.atMs);
}
