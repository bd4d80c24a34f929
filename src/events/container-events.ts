import { inject, injectable } from "../base/injection.js";
import { messageOf, nowNanos, onAbort, ShimError } from "../base/index.js";
import { Containers } from "../containers/index.js";
import { ContainerEventType, type ContainerEventResponse } from "../gen/runtime/v1/api_pb.js";
import {
  Inventory,
  type ContainerRecord,
  type LifeEvent,
  type SandboxRecord,
  type WorkloadRecord,
} from "../inventory/index.js";
import { Sandboxes } from "../sandbox/index.js";

type ContainerEvent = Omit<ContainerEventResponse, "$typeName">;

/** The most events in one subscriber's queue; beyond, its stream is ended. */
const backlogLimit = 4_096;

const eventTypes = {
  created: ContainerEventType.CONTAINER_CREATED_EVENT,
  started: ContainerEventType.CONTAINER_STARTED_EVENT,
  stopped: ContainerEventType.CONTAINER_STOPPED_EVENT,
  deleted: ContainerEventType.CONTAINER_DELETED_EVENT,
} as const;

/** The event stream that kubelet's evented PLEG reads. */
@injectable()
export class ContainerEvents {
  constructor(
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(Sandboxes) private readonly sandboxes: Sandboxes,
    @inject(Containers) private readonly containers: Containers,
  ) {}

  /**
   * Yields every life event of every container from now on. Events of a pod that RunPodSandbox is creating are held
   * until that call ends. The status of the pod and those of its containers are both set, or neither if the pod no
   * longer exists: to kubelet, a status without containers means a pod without any. An event's time is when it is emitted:
   * Docker may record a short process as ended before it started.
   * @throws ShimError "resource-exhausted" when the reader is more than 4,096 events behind; the error of an event that
   *   cannot be built.
   * @see CRI v1 RuntimeService.GetContainerEvents
   */
  async *subscribe(signal: AbortSignal): AsyncGenerator<ContainerEvent> {
    this.inventory.assertReady();
    const backlog: ContainerEvent[] = [];
    const state: { failure?: Error } = {};
    let wake: () => void = () => undefined;
    let lastNanos = 0n;
    const fail = (failure: Error) => {
      state.failure ??= failure;
      unsubscribe();
      wake();
    };
    const add = (event: LifeEvent) => {
      // A kubelet drops an event that is older than the last one of the pod, also when the clock was set back.
      const now = nowNanos();
      if (now > lastNanos) lastNanos = now;
      if (backlog.length === backlogLimit) {
        const text = `the subscriber is more than ${backlogLimit} events behind: list, and subscribe again`;
        fail(new ShimError("resource-exhausted", text));
        return;
      }
      try {
        // Built now: later the other containers of the pod would have newer states.
        backlog.push(this.message(event, lastNanos));
        wake();
      } catch (error) {
        // A subscriber that misses an event must know: it lists, and subscribes again.
        fail(error instanceof Error ? error : new Error(messageOf(error)));
      }
    };
    const unsubscribe = this.inventory.subscribe((event) => {
      // A kubelet keeps the pod's status of the last event: it must be that of the finished pod, with its address.
      const created = this.sandboxes.whenCreated(event.record.id);
      if (created)
        void created.then(() => {
          add(event);
        });
      else add(event);
    });
    const unlisten = onAbort(signal, () => {
      wake();
    });
    try {
      for (;;) {
        signal.throwIfAborted();
        const next = backlog.shift();
        if (next) yield next;
        else if (state.failure !== undefined) throw state.failure;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
            if (signal.aborted) resolve();
          });
        }
      }
    } finally {
      unsubscribe();
      unlisten();
    }
  }

  private message({ type, record }: LifeEvent, createdAt: bigint): ContainerEvent {
    const event = { containerId: record.id, containerEventType: eventTypes[type], createdAt };
    const pod = this.podOf(type, record);
    if (!pod) return { ...event, containersStatuses: [] };
    return {
      ...event,
      podSandboxStatus: this.sandboxes.statusOf(pod),
      containersStatuses: this.containersOf(pod, type, record).map((each) => this.containers.statusOf(each)),
    };
  }

  /** The pod of an event; undefined once it is gone. */
  private podOf(type: LifeEvent["type"], record: ContainerRecord): SandboxRecord | undefined {
    if (record.kind === "sandbox") return type === "deleted" ? undefined : record;
    const pod = this.inventory.record(record.sandboxId);
    return pod?.kind === "sandbox" ? pod : undefined;
  }

  /** The pod's containers. The event's own container is included as the event left it, even after its removal. */
  private containersOf(pod: SandboxRecord, type: LifeEvent["type"], own: ContainerRecord): WorkloadRecord[] {
    const others = this.inventory.workloadsOf(pod.id).filter(({ id }) => id !== own.id);
    return own.kind === "container" && type !== "deleted" ? [...others, own] : others;
  }
}
