import type { DockerContainer, DockerEvent } from "../docker/index.js";
import { asCreated, asStarted, endedUnseen, stageOf, type ContainerRecord } from "./record.js";

/** One step in a container's life, as GetContainerEvents tells it. */
export interface LifeEvent {
  readonly type: "created" | "started" | "stopped" | "deleted";
  /** The container as this step left it. */
  readonly record: ContainerRecord;
  readonly timeNanos: bigint;
}

/**
 * The steps that lead from one record to the next, each once and in order. `before` is undefined for a
 * container that was not known. A restart that nobody saw is a stop and a start.
 */
export function stepsBetween(
  before: ContainerRecord | undefined,
  after: ContainerRecord,
  nowNanos: bigint,
): LifeEvent[] {
  const steps: LifeEvent[] = [];
  const { state } = after.docker;
  const add = (type: LifeEvent["type"], record: ContainerRecord, timeNanos: bigint | undefined) =>
    steps.push({ type, record, timeNanos: timeNanos ?? nowNanos });
  if (!before) add("created", asCreated(after), after.docker.createdAtNanos);
  const from = before ? stageOf(before.docker) : "created";
  const to = stageOf(after.docker);
  const restarted = before !== undefined && from !== "created" && startedAgain(before, state.startedAtNanos);
  if (restarted && from === "running") steps.push(stopUnseen(before, state.startedAtNanos ?? nowNanos));
  const started =
    restarted ||
    (from === "created" && state.startedAtNanos !== undefined) ||
    (from === "exited" && to === "running");
  if (to !== "created" && started) add("started", asStarted(after), state.startedAtNanos);
  if (to === "exited" && (from !== "exited" || started)) add("stopped", after, state.finishedAtNanos);
  return steps;
}

/** The last steps of a container that is no more: nothing ends before it has stopped. */
export function lastSteps(record: ContainerRecord, timeNanos: bigint): LifeEvent[] {
  const deleted = (last: ContainerRecord): LifeEvent => ({ type: "deleted", record: last, timeNanos });
  if (stageOf(record.docker) !== "running") return [deleted(record)];
  const stopped = stopUnseen(record, timeNanos);
  return [stopped, deleted(stopped.record)];
}

/**
 * Of the events before an inspect, those that its answer does not tell: the last one led to what the answer
 * shows, unless the container has been started again since. Where the start is still the known one, the answer
 * tells all.
 */
export function untoldEvents(
  events: readonly DockerEvent[],
  { state }: DockerContainer,
  known: ContainerRecord | undefined,
): DockerEvent[] {
  if (known?.provisional === false && known.docker.state.startedAtNanos === state.startedAtNanos) return [];
  const last = events.at(-1);
  const startedSince = last?.action === "die" && (state.startedAtNanos ?? 0n) > last.timeNanos;
  return startedSince ? [...events] : events.slice(0, -1);
}

// What Docker does between its note of a start or an end and the event that tells of it.
const noteToEventNanos = 1_000_000_000n;

/**
 * Whether an inspect's answer shows what an event tells, although the event came after it. Of a container that had
 * ended by the time of a start's event it is not known whether that was its start, or the next.
 */
export function shows(docker: DockerContainer, event: DockerEvent): boolean {
  const { running, finishedAtNanos } = docker.state;
  const ended = !running && finishedAtNanos !== undefined && finishedAtNanos < event.timeNanos;
  return mayShow(docker, event) && !(event.action === "start" && ended);
}

/** Whether what an answer shows can be what an event tells, and by their times is. */
export function mayShow({ state }: DockerContainer, { action, timeNanos }: DockerEvent): boolean {
  const isOf = (noted: bigint | undefined) =>
    noted !== undefined && noted <= timeNanos && timeNanos - noted < noteToEventNanos;
  if (action === "create") return true;
  if (action === "start") return isOf(state.startedAtNanos);
  return action === "die" && !state.running && isOf(state.finishedAtNanos);
}

function stopUnseen(record: ContainerRecord, timeNanos: bigint): LifeEvent {
  return { type: "stopped", record: endedUnseen(record, timeNanos), timeNanos };
}

// Docker's event of a start and its own note of the time differ by what the runtime takes to start a process.
const eventToleranceNanos = 1_000_000_000n;

function startedAgain({ docker, provisional }: ContainerRecord, startedAtNanos: bigint | undefined): boolean {
  const known = docker.state.startedAtNanos;
  if (known === undefined || startedAtNanos === undefined) return false;
  // Docker notes a start when the runtime has answered: a process may have ended before, and be noted so.
  if (startedAtNanos === known) return false;
  const ended = stageOf(docker) === "exited" ? docker.state.finishedAtNanos : undefined;
  if (ended !== undefined && startedAtNanos > ended) return true;
  return startedAtNanos - known > (provisional ? eventToleranceNanos : 0n);
}
