import { deepFreeze } from "../base/index.js";
import { ContainerState, type Container, type ContainerStatus } from "../gen/runtime/v1/api_pb.js";
import type { ImageRecord, Inventory, WorkloadRecord } from "../inventory/index.js";
import { toContainer, toContainerStatus } from "../translate/index.js";

interface Made {
  readonly image: ImageRecord | undefined;
  listed?: Container;
  status?: ContainerStatus;
}

/** CRI's messages of the containers, each made once for a record and its image, and frozen. */
export class ContainerMessages {
  private readonly made = new WeakMap<WorkloadRecord, Made>();

  constructor(private readonly inventory: Inventory) {}

  listed(record: WorkloadRecord): Container {
    const made = this.of(record);
    return (made.listed ??= deepFreeze(
      withState(toContainer(record.docker, { image: made.image, identity: record }), record),
    ));
  }

  status(record: WorkloadRecord): ContainerStatus {
    const made = this.of(record);
    return (made.status ??= deepFreeze(
      withState(toContainerStatus(record.docker, { image: made.image, identity: record }), record),
    ));
  }

  private of(record: WorkloadRecord): Made {
    const { imageId } = record.docker;
    const image = imageId === undefined ? undefined : this.inventory.images.get(imageId);
    const known = this.made.get(record);
    if (known && known.image === image) return known;
    const made: Made = { image };
    this.made.set(record, made);
    return made;
  }
}

/** A container that Docker calls running, but whose process is gone, is in no state that anybody knows. */
function withState<T extends { state: ContainerState }>(message: T, record: WorkloadRecord): T {
  if (record.processGone) message.state = ContainerState.CONTAINER_UNKNOWN;
  return message;
}
