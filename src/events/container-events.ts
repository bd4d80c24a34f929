import { inject, injectable } from "../base/injection.js";
import { onAbort, ShimError } from "../base/index.js";
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

/** Steps that may wait for one subscriber; one that lags further behind is ended. */
const backlogLimit = 4_096;

const eventTypes = {
  created: ContainerEventType.CONTAINER_CREATED_EVENT,
  started: ContainerEventType.CONTAINER_STARTED_EVENT,
  stopped: ContainerEventType.CONTAINER_STOPPED_EVENT,
  deleted: ContainerEventType.CONTAINER_DELETED_EVENT,
} as const;

/** The stream behind kubelet's evented PLEG. */
@injectable()
export class ContainerEvents {
  constructor(
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(Sandboxes) private readonly sandboxes: Sandboxes,
    @inject(Containers) private readonly containers: Containers,
  ) {}

  /**
   * Follows every step of every container from now on. The pod's status and its containers' are both set, or
   * neither (when the pod is gone): kubelet takes a status without containers for a pod that has none.
   * @throws ShimError "resource-exhausted" when the reader lags more than 4,096 steps behind.
   */
  async *subscribe(signal: AbortSignal): AsyncGenerator<ContainerEvent> {
    this.inventory.assertReady();
    const backlog: ContainerEvent[] = [];
    const state = { overflow: false };
    let wake: () => void = () => undefined;
    const unsubscribe = this.inventory.subscribe((step) => {
      // The message is made now: later the containers would show what came after this step.
      if (backlog.length < backlogLimit) backlog.push(this.message(step));
      else {
        state.overflow = true;
        unsubscribe();
      }
      wake();
    });
    const unlisten = onAbort(signal, () => {
      wake();
    });
    try {
      for (;;) {
        signal.throwIfAborted();
        const next = backlog.shift();
        if (next) yield next;
        else if (state.overflow) {
          throw new ShimError(
            "resource-exhausted",
            `the subscriber is ${backlogLimit} events behind: subscribe again and list`,
          );
        } else {
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

  private message({ type, record, timeNanos }: LifeEvent): ContainerEvent {
    const event = { containerId: record.id, containerEventType: eventTypes[type], createdAt: timeNanos };
    const pod = this.podOf(type, record);
    if (!pod) return { ...event, containersStatuses: [] };
    return {
      ...event,
      podSandboxStatus: this.sandboxes.statusOf(pod),
      containersStatuses: this.containersOf(pod, type, record).map((each) => this.containers.statusOf(each)),
    };
  }

  /** The pod of a step, as the step left it where it is its own; undefined once it is gone. */
  private podOf(type: LifeEvent["type"], record: ContainerRecord): SandboxRecord | undefined {
    if (record.kind === "sandbox") return type === "deleted" ? undefined : record;
    const pod = this.inventory.told(record.sandboxId);
    return pod?.kind === "sandbox" ? pod : undefined;
  }

  /** The pod's containers. The event's own container is included as the event left it, even after its removal. */
  private containersOf(pod: SandboxRecord, type: LifeEvent["type"], own: ContainerRecord): WorkloadRecord[] {
    const others = this.inventory
      .workloadsOf(pod.id)
      .flatMap(({ id }) => (id === own.id ? [] : (this.inventory.told(id) ?? [])))
      .filter((record) => record.kind === "container");
    return own.kind === "container" && type !== "deleted" ? [...others, own] : others;
  }
}
