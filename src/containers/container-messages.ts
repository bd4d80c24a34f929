import { deepFreeze } from "../base/index.js";
import {
  ContainerState,
  type Container,
  type ContainerStatus,
  type LinuxContainerUser,
} from "../gen/runtime/v1/api_pb.js";
import type { ImageRecord, Inventory, WorkloadRecord } from "../inventory/index.js";
import { toContainer, toContainerStatus } from "../translate/index.js";
import type { ContainerUsers } from "./container-users.js";

interface CachedMessages {
  readonly image: ImageRecord | undefined;
  readonly user: LinuxContainerUser | undefined;
  listed?: Container;
  status?: ContainerStatus;
}

/** Caches the CRI messages of containers: one frozen message per record, image and user. */
export class ContainerMessages {
  private readonly cache = new WeakMap<WorkloadRecord, CachedMessages>();

  constructor(
    private readonly inventory: Inventory,
    private readonly users: ContainerUsers,
  ) {}

  listed(record: WorkloadRecord): Container {
    const messages = this.of(record);
    return (messages.listed ??= deepFreeze(
      withState(toContainer(record.docker, { image: messages.image, identity: record }), record),
    ));
  }

  status(record: WorkloadRecord): ContainerStatus {
    const messages = this.of(record);
    return (messages.status ??= deepFreeze(
      withState(toContainerStatus(record.docker, { ...messages, identity: record }), record),
    ));
  }

  private of(record: WorkloadRecord): CachedMessages {
    const { imageId } = record.docker;
    const image = imageId === undefined ? undefined : this.inventory.images.get(imageId);
    const user = this.users.of(record);
    const cached = this.cache.get(record);
    if (cached && cached.image === image && cached.user === user) return cached;
    const messages: CachedMessages = { image, user };
    this.cache.set(record, messages);
    return messages;
  }
}

/** A container that Docker shows as running, but whose process is gone, has an unknown state. */
function withState<T extends { state: ContainerState }>(message: T, record: WorkloadRecord): T {
  if (record.processGone) message.state = ContainerState.CONTAINER_UNKNOWN;
  return message;
}
