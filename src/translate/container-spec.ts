import type { DockerContainerConfig, DockerContainerSpec, DockerHostConfig } from "../docker/index.js";
import type {
  ContainerConfig,
  LinuxContainerSecurityContext,
  PodSandboxConfig,
} from "../gen/runtime/v1/api_pb.js";
import { absolutePath, invalid, required, withoutNul } from "./checks.js";
import { cdiNames, dockerDevices } from "./devices.js";
import { cgroupParent, type EngineEnvironment } from "./environment.js";
import { environmentVariables } from "./env-vars.js";
import { refuseUnsupported } from "./field-table/index.js";
import { checkImageHandler } from "./image-spec.js";
import type { ExportedImages } from "./image-volumes.js";
import { containerLabels } from "./labels.js";
import { dockerMounts } from "./mounts.js";
import { containerName } from "./names.js";
import { containerNamespaces, userNamespace } from "./namespaces.js";
import { createResources } from "./resources.js";
import { seccompOption } from "./seccomp.js";
import { apparmorOption, capabilities, groups, paths, selinuxLabels, userAndGroup } from "./security.js";
import { toDockerSignal } from "./signals.js";

const contextField = "config.linux.security_context";

/** A CreateContainer, with what the node had to be asked for it. */
export interface ContainerSpecRequest {
  readonly config: ContainerConfig;
  readonly sandboxConfig: PodSandboxConfig | undefined;
  /** The sandbox's full id. */
  readonly sandboxId: string;
  /** The OCI runtime that the sandbox was made with; absent: the default. */
  readonly sandboxRuntime?: string | undefined;
  /** The sandbox is on the node's network. */
  readonly sandboxHostNetwork: boolean;
  readonly env: EngineEnvironment;
  /** The content of the file that `seccompFile` names for the container's security context. */
  readonly seccompProfile?: string | undefined;
  /** The full id of the container that namespace_options.target_id names, when it is in this pod. */
  readonly pidTargetId?: string | undefined;
  /** The images to mount, where Docker has no image mounts (before API 1.48). */
  readonly exportedImages?: ExportedImages | undefined;
}

/**
 * All that Docker needs to make a container.
 *
 * Without a security context Docker's defaults hold: its seccomp profile, its masked and read-only paths.
 * With one, the context is the whole truth: empty lists of paths mask nothing, and no seccomp profile means
 * none, as the kubelet means it and containerd does it.
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
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- older kubelets say it this way only
  const olderApparmor = context.apparmorProfile;
  const securityOpt = [
    ...selinuxLabels(context.selinuxOptions, contextField),
    ...apparmorOption(context.apparmor, olderApparmor, env, contextField),
    // A dockerd with --no-new-privileges would set it for all.
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
 * Privileged containers, node agents above all, read the node's whole tree; on cgroup v1 every container does. Said
 * always, as dockerd's default can be either.
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
  throw invalid(`${contextField}.privileged`, "needs a pod whose own security context is privileged");
}
