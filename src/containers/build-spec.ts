import { fileFailure, isPassingFailure, messageOf, ShimError } from "../base/index.js";
import type { DockerContainerSpec } from "../docker/index.js";
import {
  NamespaceMode,
  SupplementalGroupsPolicy,
  type ContainerConfig,
  type Mount,
  type PodSandboxConfig,
} from "../gen/runtime/v1/api_pb.js";
import type { Host } from "../host/index.js";
import type { Inventory, SandboxRecord } from "../inventory/index.js";
import { requireApparmorProfile } from "./apparmor.js";
import { containerSpec, seccompFile, type ExportedImages } from "../translate/index.js";
import type { ContainersContext } from "./context.js";
import type { ImageExport } from "./image-export.js";
import { userWithGroup } from "./strict-groups.js";

/** Real seccomp profiles have tens of KiB. */
const maxProfileBytes = 4 * 1024 * 1024;

export interface BuildSpecRequest {
  readonly config: ContainerConfig;
  readonly sandboxConfig: PodSandboxConfig | undefined;
  readonly sandbox: SandboxRecord;
  readonly exportedImages: ExportedImages;
}

/**
 * Builds Docker's create request for a container: the pure mapping and the files of the node that it depends on.
 * @throws ShimError "invalid-argument", "unsupported" from the mapping; "failed-precondition" when a host path, a seccomp
 *   profile or an AppArmor profile is missing.
 */
export async function buildSpec(
  { config, sandboxConfig, sandbox, exportedImages }: BuildSpecRequest,
  context: ContainersContext,
  images: ImageExport,
): Promise<DockerContainerSpec> {
  const { host, inventory } = context;
  const security = config.linux?.securityContext;
  await requireApparmorProfile(security, "config.linux.security_context", context);
  const seccompProfile = await readSeccompProfile(security, host);
  const spec = containerSpec({
    config,
    sandboxConfig,
    sandboxId: sandbox.id,
    sandboxRuntime: sandbox.docker.host.runtime,
    sandboxHostNetwork: sandbox.docker.host.networkMode === "host",
    env: inventory.environment(),
    seccompProfile,
    pidTargetId: pidTarget(config, sandbox.id, inventory),
    exportedImages,
  });
  for (const mount of config.mounts) await prepareHostPath(mount, context);
  if (security?.supplementalGroupsPolicy !== SupplementalGroupsPolicy.Strict) return spec;
  const user = await userWithGroup(spec.config, inventory, images);
  return { ...spec, config: { ...spec.config, user } };
}

/**
 * Reads the file of a Localhost seccomp profile; undefined for other profiles.
 * @throws ShimError "failed-precondition" with the path; "resource-exhausted" when too many files are open.
 */
export async function readSeccompProfile(
  context: Parameters<typeof seccompFile>[0],
  host: Host,
): Promise<string | undefined> {
  const file = seccompFile(context);
  if (file === undefined) return undefined;
  try {
    return (await host.files.read(file, { maxBytes: maxProfileBytes })).toString("utf8");
  } catch (error) {
    const what = `cannot read the seccomp profile ${file}`;
    if (isPassingFailure(error)) throw fileFailure(what, error);
    throw new ShimError("failed-precondition", `${what}: ${messageOf(error)}`, { cause: error });
  }
}

/** The target container of a shared PID namespace, if it is in this pod. */
function pidTarget(config: ContainerConfig, sandboxId: string, inventory: Inventory): string | undefined {
  const options = config.linux?.securityContext?.namespaceOptions;
  if (options?.pid !== NamespaceMode.TARGET) return undefined;
  return inventory
    .workloadsOf(sandboxId)
    .find(({ id }) => options.targetId !== "" && id.startsWith(options.targetId))?.id;
}

/** Creates a missing host path as an empty directory, as other runtimes do, or rejects it, as CRI defines. */
async function prepareHostPath(mount: Mount, { host, config, log }: ContainersContext): Promise<void> {
  if (mount.image || mount.hostPath === "") return;
  try {
    const kind = await host.files.kindOf(mount.hostPath);
    // A dangling symlink is an error here, because Docker's message does not contain its path.
    if (kind === "link") await host.files.realPath(mount.hostPath);
    if (kind !== undefined) return;
    if (config.missingHostPath === "refuse") throw new Error("it does not exist");
    await host.files.makeDirectory(mount.hostPath);
  } catch (error) {
    throw new ShimError(
      "failed-precondition",
      `the host path ${mount.hostPath} of the mount at ${mount.containerPath} cannot be used: ${messageOf(error)}`,
      { cause: error },
    );
  }
  log.warn({ hostPath: mount.hostPath }, "created an empty directory for a mount with a missing host path");
}
