import type { DockerEvent } from "../docker/index.js";
import {
  applyEvents,
  eventsMissingFrom,
  isOlder,
  lifeEventsBetween,
  lifeEventsOfEnd,
  reflects,
  type LifeEvent,
  type RecordChange,
} from "./life-events.js";
import type { ContainerRecord } from "./record.js";

/** Docker's events of one change, and its answer to the call, come within this time: one inspect covers them all. */
const eventQuietMs = 10;
/** Docker's events of a removal may come this long after it. */
const lastEventsMs = 2_000;
const firstInspectMs = 2_000;
const longestInspectMs = 30_000;

/**
 * What is known of one container; immutable. See the state diagram in ARCHITECTURE.md.
 *
 * - `new`: without a record yet; no life event has been emitted.
 * - `known`: it has a record.
 * - `foreign`: it bears our label, but its name or labels cannot be read: inspected once, then ignored.
 * - `removed`: removed by a call of ours. It is no longer shown; the events of its end are still awaited.
 * - `gone`: it does not exist. Final.
 */
export interface ContainerState {
  readonly phase: "new" | "known" | "foreign" | "removed" | "gone";
  /** The record as of the last life event. */
  readonly record: ContainerRecord | undefined;
  /** Events that no inspect has reflected yet, oldest first. */
  readonly pending: readonly TimedEvent[];
  /** The inspect that is under way. */
  readonly inspect: { readonly sentAtMs: number; readonly pendingEvents: number } | undefined;
  /** When the last answered inspect was sent. */
  readonly inspectedAtMs: number;
  /** The deadline of the next inspect; it grows while Docker leaves inspects of this container unanswered. */
  readonly deadlineMs: number;
  /** What the timer is for: to collect events, to retry an inspect, or to end the wait for the last events. */
  readonly timer: "events" | "retry" | "last-events" | undefined;
  /** What is known without an inspect: from a list, our own create or its event. Used while Docker does not answer. */
  readonly fallback: ContainerRecord | undefined;
}

/** An event, and when it happened on the clock of `sentAtMs`; undefined when the engine has a clock of its own. */
export interface TimedEvent {
  readonly event: DockerEvent;
  readonly happenedAtMs: number | undefined;
}

/** What can happen to a container's state. */
export type ContainerInput =
  | ({ readonly kind: "event" } & TimedEvent)
  /** An inspect is sent. */
  | { readonly kind: "inspecting"; readonly sentAtMs: number }
  /** An inspect is answered; without a record the container is not ours. */
  | { readonly kind: "inspected"; readonly record: ContainerRecord | undefined }
  /** The inspect failed or timed out. */
  | { readonly kind: "unanswered" }
  /** Docker does not have the container, by an inspect or a list. */
  | { readonly kind: "not-found" }
  /** A list, our own create or its event describes the container. */
  | { readonly kind: "described"; readonly record: ContainerRecord | undefined }
  /** A call of ours has removed it. */
  | { readonly kind: "removed" }
  /** Docker calls it running, but its first process does not exist. */
  | { readonly kind: "process-gone" }
  /** The timer of the last transition has fired. */
  | { readonly kind: "timeout" };

/** The result of a transition. */
export interface Transition {
  readonly state: ContainerState;
  /** To be emitted, in this order. */
  readonly lifeEvents: readonly LifeEvent[];
  /** What to do next: inspect the container, or send `timeout` after a while. A running timer is replaced. */
  readonly next: "inspect" | { readonly timeoutMs: number } | undefined;
}

export const newContainer: ContainerState = {
  phase: "new",
  record: undefined,
  pending: [],
  inspect: undefined,
  inspectedAtMs: -Infinity,
  deadlineMs: firstInspectMs,
  timer: undefined,
  fallback: undefined,
};

/** True while the container is, or may be, one to show. */
export function isPresent({ phase }: ContainerState): boolean {
  return phase !== "removed" && phase !== "gone";
}

/** True while Docker has left the last inspect unanswered. */
export function isStuck({ deadlineMs }: ContainerState): boolean {
  return deadlineMs > firstInspectMs;
}

/** True while a newer state is already on its way: an inspect is under way, or a timer leads to one. */
export function isSettling({ inspect, timer }: ContainerState): boolean {
  return inspect !== undefined || timer !== undefined;
}

/**
 * The state machine of one container: pure, without a clock or I/O of its own.
 * @param nowNanos The time of life events that nothing else dates.
 */
export function nextState(state: ContainerState, input: ContainerInput, nowNanos: bigint): Transition {
  if (state.phase === "gone") return unchanged(state);
  switch (input.kind) {
    case "event":
      return onEvent(state, input, nowNanos);
    case "inspecting": {
      const inspect = { sentAtMs: input.sentAtMs, pendingEvents: state.pending.length };
      return unchanged({ ...state, inspect, timer: state.phase === "removed" ? state.timer : undefined });
    }
    case "inspected":
      return onInspected(state, input, nowNanos);
    case "unanswered":
      return onUnanswered(state, nowNanos);
    case "not-found":
      if (state.phase === "removed") return unchanged({ ...state, inspect: undefined });
      return end(state, state.pending.at(-1)?.event.timeNanos ?? nowNanos, nowNanos);
    case "described":
      return unchanged({ ...state, fallback: state.record ? undefined : input.record });
    case "removed":
      if (state.phase === "removed") return unchanged(state);
      return transition({ ...state, phase: "removed", timer: "last-events" }, [], {
        timeoutMs: lastEventsMs,
      });
    case "process-gone":
      if (!state.record || state.phase !== "known") return unchanged(state);
      return unchanged({ ...state, record: { ...state.record, processGone: true } });
    case "timeout":
      if (state.timer === "last-events") return end(state, nowNanos, nowNanos);
      return transition({ ...state, timer: undefined }, [], state.timer && "inspect");
  }
}

function transition(
  state: ContainerState,
  lifeEvents: readonly LifeEvent[],
  next: Transition["next"],
): Transition {
  return { state, lifeEvents, next };
}

function unchanged(state: ContainerState): Transition {
  return transition(state, [], undefined);
}

function onEvent(state: ContainerState, { event, happenedAtMs }: TimedEvent, nowNanos: bigint): Transition {
  if (event.action === "destroy") return end(state, event.timeNanos, nowNanos);
  const { record, pending } = state;
  const isReflected =
    (happenedAtMs !== undefined && happenedAtMs <= state.inspectedAtMs) ||
    (record?.provisional === false &&
      (isOlder(event, record.docker) || (pending.length === 0 && reflects(record.docker, event))));
  if (isReflected || (state.phase === "foreign" && event.action !== "rename")) return unchanged(state);
  const next = { ...state, pending: [...pending, { event, happenedAtMs }] };
  // The answer of the inspect under way decides whether one more is needed.
  if (state.phase === "removed" || state.inspect) return unchanged(next);
  return collectEvents(next, []);
}

/** Waits for further events of the same change before the inspect. */
function collectEvents(state: ContainerState, lifeEvents: readonly LifeEvent[]): Transition {
  if (state.timer === "events") return transition(state, lifeEvents, undefined);
  return transition({ ...state, timer: "events" }, lifeEvents, { timeoutMs: eventQuietMs });
}

function onInspected(
  state: ContainerState,
  { record: inspected }: { readonly record: ContainerRecord | undefined },
  nowNanos: bigint,
): Transition {
  const { inspect, pending, record } = state;
  if (!inspect || state.phase === "removed") return unchanged({ ...state, inspect: undefined });
  const answered: ContainerState = {
    ...state,
    phase: inspected ? "known" : "foreign",
    record: inspected,
    pending: [],
    inspect: undefined,
    inspectedAtMs: inspect.sentAtMs,
    deadlineMs: firstInspectMs,
    fallback: undefined,
  };
  if (!inspected) return transition(answered, record ? lifeEventsOfEnd(record, nowNanos) : [], undefined);
  const isLater = ({ event, happenedAtMs }: TimedEvent, index: number) =>
    index >= inspect.pendingEvents &&
    (happenedAtMs === undefined || happenedAtMs > inspect.sentAtMs) &&
    !isOlder(event, inspected.docker) &&
    !reflects(inspected.docker, event);
  const earlier = pending.filter((timed, index) => !isLater(timed, index)).map(({ event }) => event);
  const missing = applyEvents(record, eventsMissingFrom(inspected.docker, earlier, record), nowNanos);
  const lifeEvents = [...missing.lifeEvents, ...lifeEventsBetween(missing.record, inspected, nowNanos)];
  const later = pending.filter(isLater);
  if (later.length === 0) return transition(answered, lifeEvents, undefined);
  return collectEvents({ ...answered, pending: later }, lifeEvents);
}

/** Takes what events and descriptions say, and tries again later. */
function onUnanswered(state: ContainerState, nowNanos: bigint): Transition {
  if (state.phase === "removed") return unchanged({ ...state, inspect: undefined });
  const { record, lifeEvents } = withoutInspect(state, nowNanos);
  const next: ContainerState = {
    ...state,
    phase: record ? "known" : state.phase,
    record,
    pending: [],
    fallback: record ? undefined : state.fallback,
    inspect: undefined,
    deadlineMs: Math.min(state.deadlineMs * 2, longestInspectMs),
    timer: "retry",
  };
  return transition(next, lifeEvents, { timeoutMs: state.deadlineMs });
}

function end(state: ContainerState, timeNanos: bigint, nowNanos: bigint): Transition {
  const { record, lifeEvents } = withoutInspect(state, nowNanos);
  const gone: ContainerState = {
    ...state,
    phase: "gone",
    record,
    pending: [],
    inspect: undefined,
    timer: undefined,
  };
  return transition(gone, [...lifeEvents, ...(record ? lifeEventsOfEnd(record, timeNanos) : [])], undefined);
}

/** The record without an answer to an inspect: the pending events are applied to the known record or the fallback. */
function withoutInspect({ record, fallback, pending }: ContainerState, nowNanos: bigint): RecordChange {
  const described = !record && fallback ? lifeEventsBetween(undefined, fallback, nowNanos) : [];
  const events = pending.map(({ event }) => event);
  const applied = applyEvents(record ?? fallback, events, nowNanos);
  return { record: applied.record, lifeEvents: [...described, ...applied.lifeEvents] };
}
