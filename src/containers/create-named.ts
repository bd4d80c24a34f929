import { isImageId, isKind, KeyedLock, messageOf, ShimError, type Logger } from "../base/index.js";
import {
  NameConflict,
  type DockerContainer,
  type DockerContainerSpec,
  type DockerService,
} from "../docker/index.js";
import type { Inventory } from "../inventory/index.js";
import { dockerName, identify, withOwnLabels, withRandomSuffix } from "../translate/index.js";

export interface CreateNamedOptions {
  readonly docker: DockerService;
  /** Has the container before this resolves. */
  readonly inventory: Inventory;
  readonly log: Logger;
  readonly deadlineMs?: number;
  /**
   * Classifies the container that holds the name. `whole`: complete, created by an earlier call without a response; it is
   * adopted. `unfinished`: incomplete; it is a leftover even if it runs.
   */
  readonly judge?: (holderId: string) => Promise<HolderJudgement | undefined>;
  /** True for a container whose ID was returned to a caller, which may be about to start it. */
  readonly isClaimed?: (id: string) => boolean;
  /** Removes a leftover of this shim that holds the name, with its resources. */
  readonly removeLeftover: (id: string) => Promise<void>;
}

export type HolderJudgement = "whole" | "unfinished";

const locks = new WeakMap<DockerService, KeyedLock>();

/**
 * Creates a container under a deterministic name, which makes the create idempotent. A container of a shim that holds the
 * name and does not run is a leftover of a create without a response: it is removed and the create is retried. A running
 * holder is kept, unless `judge` decides otherwise.
 * @returns The container ID, and whether an existing container was adopted. The inventory already has it.
 * @throws ShimError "already-exists" when the holder runs, was not created by a shim, or was returned to another caller.
 */
export async function createNamed(
  spec: DockerContainerSpec,
  options: CreateNamedOptions,
): Promise<{ readonly id: string; readonly adopted: boolean }> {
  const { docker } = options;
  let lock = locks.get(docker);
  if (!lock) locks.set(docker, (lock = new KeyedLock()));
  return lock.run(spec.name, async () => {
    const labelled = withOwnLabels(spec, await imageOf(spec, options));
    const made = await createOrRecover(labelled, options);
    if (made.adopted) await options.inventory.refresh(made.id);
    return made;
  });
}

/** Refreshes an image name: it may have moved to another image, and the event may not have arrived yet. */
async function imageOf({ config }: DockerContainerSpec, { inventory, deadlineMs }: CreateNamedOptions) {
  const { images } = inventory;
  const name = config.image ?? "";
  const known = isImageId(name) ? images.find(name) : undefined;
  const found = known ?? (await images.refresh(name, { deadlineMs }));
  if (found) return { id: found.id, labels: found.config.labels ?? {} };
  throw new ShimError("not-found", `the image ${name} is not on the node: pull it first`);
}

async function createOrRecover(
  spec: DockerContainerSpec,
  options: CreateNamedOptions,
): Promise<{ readonly id: string; readonly adopted: boolean }> {
  const renamed = renamedHolder(spec.name, options);
  if (renamed !== undefined) return await recover(spec, renamed, options);
  try {
    return { id: await create(spec, options), adopted: false };
  } catch (error) {
    const conflict = isKind(error, "already-exists") ? error.cause : undefined;
    if (!(conflict instanceof NameConflict)) throw error;
    return await recover(spec, conflict.holderId, options);
  }
}

/** A container that was created under the name and renamed since. Docker itself would allow a second one. */
function renamedHolder(name: string, { inventory }: CreateNamedOptions): string | undefined {
  const found = [...inventory.sandboxes(), ...inventory.workloads()].find(
    (record) =>
      record.docker.name !== name &&
      name === dockerName(record.pod, record.kind === "container" ? record.container : undefined),
  );
  return found?.id;
}

/** @param holderId The container with the name; undefined if Docker's error does not contain it. */
async function recover(
  spec: DockerContainerSpec,
  holderId: string | undefined,
  options: CreateNamedOptions,
): Promise<{ readonly id: string; readonly adopted: boolean }> {
  const { log } = options;
  const holder = holderId ?? spec.name;
  log.warn({ name: spec.name, holder }, "the name is taken: inspecting the container that holds it");
  const judgement = holderId && (await options.judge?.(holderId));
  if (holderId !== undefined && judgement === "whole") {
    log.info({ name: spec.name, holder }, "adopted the container of an earlier call");
    return { id: holderId, adopted: true };
  }
  await clearName(spec.name, holder, judgement === "unfinished", options);
  return { id: await createOrEvadeGhost(spec, holder, options), adopted: false };
}

/** Docker's name table can refer to a container that no longer exists, a ghost. The create then uses another name. */
async function createOrEvadeGhost(
  spec: DockerContainerSpec,
  holder: string,
  options: CreateNamedOptions,
): Promise<string> {
  try {
    return await create(spec, options);
  } catch (error) {
    const conflict = isKind(error, "already-exists") ? error.cause : undefined;
    if (!(conflict instanceof NameConflict) || (conflict.holderId ?? spec.name) !== holder) throw error;
    const name = withRandomSuffix(spec.name);
    options.log.warn(
      { name, ghost: holder },
      "Docker's name table contains a ghost: using a name with a suffix",
    );
    return create({ ...spec, name }, options);
  }
}

async function create(
  spec: DockerContainerSpec,
  { docker, inventory, log, deadlineMs }: CreateNamedOptions,
): Promise<string> {
  const { id, warnings } = await docker.containers.create(spec, { deadlineMs });
  await inventory.created(id, spec);
  if (warnings.length > 0) log.warn({ container: id, warnings }, "Docker returned warnings at create");
  return id;
}

/** Removes the holder of a name if it is a leftover. Succeeds if it is missing. */
async function clearName(
  name: string,
  holder: string,
  mayRun: boolean,
  options: CreateNamedOptions,
): Promise<void> {
  try {
    const container = await options.docker.containers.inspect(holder);
    const why = reasonToKeep(container, mayRun, options);
    if (why !== undefined) {
      throw new ShimError(
        "already-exists",
        `the name ${name} is held by container ${container.id}, which ${why}; remove it, or use another attempt number`,
      );
    }
    options.log.warn(
      { container: container.id, name: container.name },
      "removing a leftover that holds the name",
    );
    await options.removeLeftover(container.id);
  } catch (error) {
    if (isKind(error, "not-found")) return;
    if (error instanceof ShimError) throw error;
    throw new ShimError("internal", `could not free the name: ${messageOf(error)}`, { cause: error });
  }
}

function reasonToKeep(
  container: DockerContainer,
  mayRun: boolean,
  options: CreateNamedOptions,
): string | undefined {
  const imageLabels = options.inventory.images.labelsOf(container.imageId);
  if (!identify(container, imageLabels)) return "was not made by a CRI shim";
  if (container.state.running && !mayRun) return "is running";
  if (options.isClaimed?.(container.id)) return "another call has just created";
  return undefined;
}
