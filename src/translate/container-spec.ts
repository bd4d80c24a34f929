import type { DockerContainerConfig, DockerContainerSpec, DockerHostConfig } from "../docker/index.js";
import type {
  ContainerConfig,
  LinuxContainerSecurityContext,
  PodSandboxConfig,
} from "../gen/runtime/v1/api_pb.js";
import { absolutePath, invalid, required, withoutNul } from "./validation.js";
import { cdiNames, dockerDevices } from "./devices.js";
import { cgroupParent, type EngineEnvironment } from "./environment.js";
import { environmentVariables } from "./env-vars.js";
import { refuseUnsupported } from "./field-table/index.js";
import { checkImageHandler } from "./images.js";
import type { ExportedImages } from "./exported-images.js";
import { containerLabels } from "./labels.js";
import { dockerMounts } from "./mounts.js";
import { containerName } from "./names.js";
import { containerNamespaces, userNamespace } from "./namespaces.js";
import { createResources } from "./resources.js";
import { seccompOption } from "./seccomp.js";
import { apparmorOption, capabilities, groups, paths, selinuxLabels, userAndGroup } from "./security.js";
import { toDockerSignal } from "./signals.js";

const contextField = "config.linux.security_context";

/** A CreateContainer request, with the facts of the node that it depends on. */
export interface ContainerSpecRequest {
  readonly config: ContainerConfig;
  readonly sandboxConfig: PodSandboxConfig | undefined;
  /** The sandbox's full id. */
  readonly sandboxId: string;
  /** The OCI runtime of the sandbox. Absent: the default runtime. */
  readonly sandboxRuntime?: string | undefined;
  /** The sandbox uses the node's network namespace. */
  readonly sandboxHostNetwork: boolean;
  readonly env: EngineEnvironment;
  /** The content of the file that `seccompFile` names for the container's security context. */
  readonly seccompProfile?: string | undefined;
  /** The full id of the container that namespace_options.target_id names, when it is in this pod. */
  readonly pidTargetId?: string | undefined;
  /** The images to mount, for engines without image mounts (before API 1.48). */
  readonly exportedImages?: ExportedImages | undefined;
}

/**
 * Translates a CreateContainer request to Docker's create request.
 *
 * Without a security context Docker's defaults apply: its seccomp profile, masked and read-only paths. With a security
 * context only its own values apply, as in containerd: empty lists mask nothing, and no seccomp profile means unconfined.
 * @throws ShimError "invalid-argument" or "unsupported", naming the field.
 * @see CRI v1 RuntimeService.CreateContainer; Docker API POST /containers/create
 */
export function containerSpec(request: ContainerSpecRequest): DockerContainerSpec {
  const { config, sandboxId, env } = request;
  const sandboxConfig = required(request.sandboxConfig, "sandbox_config");
  refuseUnsupported(config, "config");
  refuseUnsupported(sandboxConfig, "sandbox_config");
  const context = config.linux?.securityContext;
  checkPrivileged(context, sandboxConfig);
  checkImageHandler(config.image, env, "config.image");
  const metadata = required(config.metadata, "config.metadata");
  return {
    name: containerName(required(sandboxConfig.metadata, "sandbox_config.metadata"), metadata),
    config: {
      ...portableConfig(config),
      labels: containerLabels(config, sandboxConfig, sandboxId, request.exportedImages),
    },
    host: {
      ...hostConfig(request, sandboxConfig),
      ...(context ? securityOf(context, request.seccompProfile, env) : {}),
    },
  };
}

function portableConfig(config: ContainerConfig): DockerContainerConfig {
  const image = config.image?.image ?? "";
  if (image === "") throw invalid("config.image.image", "is missing");
  const entrypoint = config.command.map((word) => withoutNul(word, "config.command"));
  const command = config.args.map((word) => withoutNul(word, "config.args"));
  const env = environmentVariables(config.envs);
  const user = userAndGroup(config.linux?.securityContext ?? {}, contextField);
  const stopSignal = toDockerSignal(config.stopSignal, "config.stop_signal");
  return {
    image: withoutNul(image, "config.image.image"),
    ...(entrypoint.length > 0 ? { entrypoint } : {}),
    ...(command.length > 0 ? { command } : {}),
    ...(env.length > 0 ? { env } : {}),
    ...(config.workingDir === ""
      ? {}
      : { workingDir: absolutePath(config.workingDir, "config.working_dir") }),
    ...(user === undefined ? {} : { user }),
    ...(stopSignal === undefined ? {} : { stopSignal }),
    tty: config.tty,
    openStdin: config.stdin,
    stdinOnce: config.stdin && config.stdinOnce,
    healthcheckDisabled: true,
  };
}

function hostConfig(request: ContainerSpecRequest, sandboxConfig: PodSandboxConfig): DockerHostConfig {
  const { config, sandboxId, sandboxRuntime = "", env } = request;
  const { exportedImages = new Map() } = request;
  const { mounts, binds } = dockerMounts(config.mounts, { env, runtime: sandboxRuntime, exportedImages });
  const devices = dockerDevices(config.devices);
  const cdiDevices = cdiNames(config.CDIDevices, env);
  const parent = sandboxConfig.linux?.cgroupParent ?? "";
  const dockerParent = cgroupParent(parent, env);
  return {
    ...containerNamespaces(config.linux?.securityContext?.namespaceOptions, {
      sandboxId,
      hostNetwork: request.sandboxHostNetwork,
      ofSandbox: sandboxConfig.linux?.securityContext?.namespaceOptions,
      pidTargetId: request.pidTargetId,
    }),
    cgroupnsMode: cgroupNamespace(config.linux?.securityContext, env),
    init: false,
    ...userNamespace(env),
    ...(mounts.length > 0 ? { mounts } : {}),
    ...(binds.length > 0 ? { binds } : {}),
    ...(devices.length > 0 ? { devices } : {}),
    ...(cdiDevices.length > 0 ? { cdiDevices } : {}),
    ...(dockerParent === undefined ? {} : { cgroupParent: dockerParent }),
    resources: createResources(config.linux?.resources, env, parent),
    ...(sandboxRuntime === "" ? {} : { runtime: sandboxRuntime }),
    ...(env.logConfig ? { logConfig: env.logConfig } : {}),
    restartPolicy: "no",
  };
}

function securityOf(
  context: LinuxContainerSecurityContext,
  seccompProfile: string | undefined,
  env: EngineEnvironment,
): DockerHostConfig {
  const groupAdd = groups(context.supplementalGroups, contextField);
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- older kubelets set only this field
  const olderApparmor = context.apparmorProfile;
  const securityOpt = [
    ...selinuxLabels(context.selinuxOptions, contextField),
    ...apparmorOption(context.apparmor, olderApparmor, env, contextField),
    // Always explicit: dockerd --no-new-privileges changes the default.
    context.noNewPrivs ? "no-new-privileges" : "no-new-privileges=false",
    ...seccompOption(context, seccompProfile, env),
  ];
  const maskedPaths = paths(context.maskedPaths, `${contextField}.masked_paths`);
  const readonlyPaths = paths(context.readonlyPaths, `${contextField}.readonly_paths`);
  return {
    ...capabilities(context.capabilities),
    ...(context.privileged ? { privileged: true } : { maskedPaths, readonlyPaths }),
    ...(context.readonlyRootfs ? { readonlyRootfs: true } : {}),
    ...(groupAdd.length > 0 ? { groupAdd } : {}),
    securityOpt,
  };
}

/**
 * Privileged containers, such as node agents, get the node's cgroup namespace, and on cgroup v1 all containers do.
 * Always explicit, because dockerd's default is configurable.
 */
function cgroupNamespace(
  context: LinuxContainerSecurityContext | undefined,
  { cgroupVersion }: EngineEnvironment,
): "host" | "private" {
  return context?.privileged || cgroupVersion === 1 ? "host" : "private";
}

function checkPrivileged(
  context: LinuxContainerSecurityContext | undefined,
  sandboxConfig: PodSandboxConfig,
): void {
  if (!context?.privileged || sandboxConfig.linux?.securityContext?.privileged) return;
  throw invalid(`${contextField}.privileged`, "needs a pod whose security context is privileged");
}
