import type { DockerContainer, DockerEvent } from "../docker/index.js";
import { afterEvent, asCreated, asStarted, endedUnseen, stageOf, type ContainerRecord } from "./record.js";

/** One event in a container's life, as GetContainerEvents emits it. */
export interface LifeEvent {
  readonly type: "created" | "started" | "stopped" | "deleted";
  /** The container as of this event. */
  readonly record: ContainerRecord;
}

/** A record's successor, and the life events that lead there. */
export interface RecordChange {
  readonly record: ContainerRecord | undefined;
  readonly lifeEvents: readonly LifeEvent[];
}

/** The record after events that no inspect has shown. Events that an inspected record reflects are skipped. */
export function applyEvents(
  before: ContainerRecord | undefined,
  events: readonly DockerEvent[],
  nowNanos: bigint,
): RecordChange {
  let record = before;
  const lifeEvents: LifeEvent[] = [];
  for (const event of events) {
    if (!record || (!record.provisional && mayReflect(record.docker, event))) continue;
    const next = {
      ...record,
      docker: afterEvent(record.docker, event),
      processGone: false,
      provisional: true,
    };
    lifeEvents.push(...lifeEventsBetween(record, next, nowNanos));
    record = next;
  }
  return { record, lifeEvents };
}

/**
 * The life events that lead from one record to the next, in order. An unobserved restart is a stop and a start.
 * @param before Undefined for a container that was not known.
 */
export function lifeEventsBetween(
  before: ContainerRecord | undefined,
  after: ContainerRecord,
  nowNanos: bigint,
): LifeEvent[] {
  const events: LifeEvent[] = [];
  const { state } = after.docker;
  const add = (type: LifeEvent["type"], record: ContainerRecord) => events.push({ type, record });
  if (!before) add("created", asCreated(after));
  const from = before ? stageOf(before.docker) : "created";
  const to = stageOf(after.docker);
  const restarted = before !== undefined && from !== "created" && wasRestarted(before, state.startedAtNanos);
  if (restarted && from === "running") events.push(unobservedStop(before, state.startedAtNanos ?? nowNanos));
  const started =
    restarted ||
    (from === "created" && state.startedAtNanos !== undefined) ||
    (from === "exited" && to === "running");
  if (to !== "created" && started) add("started", asStarted(after));
  if (to === "exited" && (from !== "exited" || started)) add("stopped", after);
  return events;
}

/** The last life events of a container that no longer exists. One that was running stops first. */
export function lifeEventsOfEnd(record: ContainerRecord, timeNanos: bigint): LifeEvent[] {
  const deleted = (last: ContainerRecord): LifeEvent => ({ type: "deleted", record: last });
  if (stageOf(record.docker) !== "running") return [deleted(record)];
  const stopped = unobservedStop(record, timeNanos);
  return [stopped, deleted(stopped.record)];
}

/**
 * The earlier events that an inspect result does not reflect: all but the last one, which led to the state in the
 * result, or all when the container was started again after a `die`. None when the start is still the known one.
 */
export function eventsMissingFrom(
  { state }: DockerContainer,
  earlier: readonly DockerEvent[],
  known: ContainerRecord | undefined,
): DockerEvent[] {
  if (known?.provisional === false && known.docker.state.startedAtNanos === state.startedAtNanos) return [];
  const last = earlier.at(-1);
  const startedSince = last?.action === "die" && (state.startedAtNanos ?? 0n) > last.timeNanos;
  return startedSince ? [...earlier] : earlier.slice(0, -1);
}

/** Whether an event happened before the last start or end that an inspect result shows, by the engine's clock. */
export function isOlder({ timeNanos }: DockerEvent, { state }: DockerContainer): boolean {
  return timeNanos < (state.startedAtNanos ?? 0n) || timeNanos < (state.finishedAtNanos ?? 0n);
}

/** Docker records a start or an end in a container's state at most this long before it sends the event. */
const recordToEventNanos = 1_000_000_000n;

/**
 * Whether an inspect result reflects an event that arrived after it. When the container had ended before a `start`
 * event was sent, that event may belong to the next start, so the answer is no.
 */
export function reflects(docker: DockerContainer, event: DockerEvent): boolean {
  const { running, finishedAtNanos } = docker.state;
  const ended = !running && finishedAtNanos !== undefined && finishedAtNanos < event.timeNanos;
  return mayReflect(docker, event) && !(event.action === "start" && ended);
}

/** Whether the times of an inspect result fit an event. */
function mayReflect({ state }: DockerContainer, { action, timeNanos }: DockerEvent): boolean {
  const fits = (recorded: bigint | undefined) =>
    recorded !== undefined && recorded <= timeNanos && timeNanos - recorded < recordToEventNanos;
  if (action === "create") return true;
  if (action === "start") return fits(state.startedAtNanos);
  return action === "die" && !state.running && fits(state.finishedAtNanos);
}

function unobservedStop(record: ContainerRecord, timeNanos: bigint): LifeEvent {
  return { type: "stopped", record: endedUnseen(record, timeNanos) };
}

/** The time of Docker's `start` event and the recorded start time differ by the time that the runtime takes. */
const eventToleranceNanos = 1_000_000_000n;

function wasRestarted({ docker, provisional }: ContainerRecord, startedAtNanos: bigint | undefined): boolean {
  const known = docker.state.startedAtNanos;
  if (known === undefined || startedAtNanos === undefined) return false;
  // Docker records a start once the runtime has answered: a short process may be recorded as ended before it started.
  if (startedAtNanos === known) return false;
  const ended = stageOf(docker) === "exited" ? docker.state.finishedAtNanos : undefined;
  if (ended !== undefined && startedAtNanos > ended) return true;
  return startedAtNanos - known > (provisional ? eventToleranceNanos : 0n);
}
