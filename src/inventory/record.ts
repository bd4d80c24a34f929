import type {
  DockerContainer,
  DockerContainerSpec,
  DockerContainerState,
  DockerContainerSummary,
  DockerEvent,
} from "../docker/index.js";
import { identify, type SandboxIdentity, type WorkloadIdentity } from "../translate/index.js";

interface RecordMade {
  /** 64 hex digits. */
  readonly id: string;
  /** The container as of Docker's last answer or event. */
  readonly docker: DockerContainer;
  /** Docker calls it running, but its first process does not exist: its state is unknown. */
  readonly processGone: boolean;
  /** Known from events, a list or a create request, not from an inspect: times may differ a little from Docker's. */
  readonly provisional: boolean;
}

/** The fields of a record that Docker's answer does not have. */
export interface RecordMarks {
  readonly processGone?: boolean;
  readonly provisional?: boolean;
}

export type SandboxRecord = RecordMade & SandboxIdentity;
export type WorkloadRecord = RecordMade & WorkloadIdentity;

/** A sandbox or container of ours, immutable: a change replaces it. */
export type ContainerRecord = SandboxRecord | WorkloadRecord;

/**
 * Reads a record from Docker's answer; undefined when no shim made the container.
 * @param imageLabels The labels of its image; undefined while they are not known.
 */
export function toRecord(
  docker: DockerContainer,
  { processGone = false, provisional = false }: RecordMarks = {},
  imageLabels?: Readonly<Record<string, string>>,
): ContainerRecord | undefined {
  const identity = identify(docker, imageLabels);
  return identity && { id: docker.id, docker, processGone, provisional, ...identity };
}

/** The stages of a container's life. */
export type Stage = "created" | "running" | "exited";

export function stageOf(docker: DockerContainer): Stage {
  if (docker.state.running) return "running";
  const { status, startedAtNanos, finishedAtNanos } = docker.state;
  if (status === "created" && startedAtNanos === undefined && finishedAtNanos === undefined) return "created";
  return status === undefined && startedAtNanos === undefined ? "created" : "exited";
}

/** The container right after an event, for a change that no inspect has shown. */
export function afterEvent(docker: DockerContainer, event: DockerEvent): DockerContainer {
  const { pid: _pid, exitCode: _exitCode, error: _error, ...state } = docker.state;
  switch (event.action) {
    case "start":
      return {
        ...docker,
        state: {
          ...state,
          status: "running",
          running: true,
          oomKilled: false,
          startedAtNanos: event.timeNanos,
        },
      };
    case "die": {
      const exitCode = Number.parseInt(event.attributes["exitCode"] ?? "", 10);
      return {
        ...docker,
        state: {
          ...state,
          status: "exited",
          running: false,
          paused: false,
          finishedAtNanos: event.timeNanos,
          ...(Number.isNaN(exitCode) ? {} : { exitCode }),
        },
      };
    }
    case "oom":
      return { ...docker, state: { ...docker.state, oomKilled: true } };
    default:
      return docker;
  }
}

/** A container that we have just created, from our own request: Docker's answer to a create has only the id. */
export function fromSpec(
  id: string,
  { name, config, host }: DockerContainerSpec,
  known: { readonly createdAtNanos: bigint; readonly imageId: string | undefined },
): DockerContainer {
  const { createdAtNanos, imageId } = known;
  return {
    id,
    name,
    createdAtNanos,
    ...(imageId === undefined ? {} : { imageId }),
    state: { status: "created", running: false, paused: false, oomKilled: false, dead: false },
    config,
    host,
    mounts: [],
    networks: [],
    execIds: [],
  };
}

/** The record as of the create, for a container that has been started since. */
export function asCreated(record: ContainerRecord): ContainerRecord {
  return withState(record, "created", { status: "created", running: false });
}

/** The record as of the start, for a container that may have ended since. */
export function asStarted(record: ContainerRecord): ContainerRecord {
  const { startedAtNanos } = record.docker.state;
  return withState(record, "running", {
    status: "running",
    running: true,
    ...(startedAtNanos === undefined ? {} : { startedAtNanos }),
  });
}

function withState(
  record: ContainerRecord,
  stage: Stage,
  state: Pick<DockerContainerState, "status" | "running" | "startedAtNanos">,
): ContainerRecord {
  const { docker } = record;
  if (stageOf(docker) === stage) return record;
  const whole = { paused: false, oomKilled: false, dead: false, ...state };
  return { ...record, docker: { ...docker, state: whole }, processGone: false };
}

/** The record of a container that has ended unobserved: the exit code is unknown. */
export function endedUnseen(record: ContainerRecord, timeNanos: bigint): ContainerRecord {
  const { pid: _pid, exitCode: _exitCode, ...state } = record.docker.state;
  const ended = {
    ...state,
    status: "exited",
    running: false,
    paused: false,
    finishedAtNanos: timeNanos,
  } as const;
  return { ...record, docker: { ...record.docker, state: ended }, processGone: false, provisional: true };
}

/** A new container as far as its create event describes it, for one that is gone before it can be inspected. */
export function fromCreateEvent({ subject, attributes, timeNanos }: DockerEvent): DockerContainer {
  const { name = "", image, ...labels } = attributes;
  const config = { ...(image === undefined ? {} : { image }), labels };
  return fromSpec(subject, { name, config, host: {} }, { createdAtNanos: timeNanos, imageId: undefined });
}

/** A container as far as a list entry describes it, for one whose inspect hangs. */
export function fromSummary(summary: DockerContainerSummary): DockerContainer {
  const running = summary.state === "running" || summary.state === "paused";
  return {
    id: summary.id,
    name: summary.names[0] ?? "",
    ...(summary.createdAtSeconds === undefined
      ? {}
      : { createdAtNanos: BigInt(summary.createdAtSeconds) * 1_000_000_000n }),
    ...(summary.imageId === undefined ? {} : { imageId: summary.imageId }),
    state: {
      ...(summary.state === undefined ? {} : { status: summary.state }),
      running,
      paused: summary.state === "paused",
      oomKilled: false,
      dead: summary.state === "dead",
    },
    config: { ...(summary.image === undefined ? {} : { image: summary.image }), labels: summary.labels },
    host: {},
    mounts: summary.mounts,
    networks: [],
    execIds: [],
  };
}

/** Whether a list entry has the state that is known already. */
export function sameAsListed(record: ContainerRecord, summary: DockerContainerSummary): boolean {
  const { status, running } = record.docker.state;
  const listedRunning =
    summary.state === "running" || summary.state === "paused" || summary.state === "restarting";
  return (
    running === listedRunning &&
    (status === undefined || summary.state === undefined || status === summary.state)
  );
}
