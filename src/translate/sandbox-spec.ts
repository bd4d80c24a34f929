import type { DockerContainerSpec, DockerHostConfig } from "../docker/index.js";
import type { PodSandboxConfig } from "../gen/runtime/v1/api_pb.js";
import { invalid, quote, required, withoutNul } from "./validation.js";
import { cgroupParent, clampOomScoreAdj, resolveRuntime, type EngineEnvironment } from "./environment.js";
import { refuseUnsupported } from "./field-table/index.js";
import { sandboxLabels } from "./labels.js";
import { sandboxName } from "./names.js";
import { sandboxNamespaces, userNamespace } from "./namespaces.js";
import { portBindings } from "./ports.js";
import { resolvConf } from "./resolv-conf.js";
import { seccompOption } from "./seccomp.js";
import { apparmorOption, groups, selinuxLabels, userAndGroup } from "./security.js";

/** The OOM killer takes the sandbox last, because the other containers use its namespaces. */
const oomScoreAdj = -998;
/** The minimum: the process of the sandbox is idle. */
const cpuShares = 2;
const shmSizeBytes = 64 * 1024 * 1024;
/** The kernel's limit of a host name. */
const longestHostname = 64;

/**
 * Translates a RunPodSandbox request to Docker's create request.
 *
 * `linux.resources` and `linux.overhead` are totals of the pod. The kubelet sets them on the pod's cgroup, the parent of
 * the sandbox, so the sandbox container has no limits of its own. `privileged` permits privileged containers in the pod;
 * the sandbox container itself is never privileged.
 * @param runtimeHandler Empty for the engine's default runtime.
 * @param sandboxImage The pause image.
 * @param files.seccompProfile The content of the file that `seccompFile` names for the pod's security context.
 * @throws ShimError "invalid-argument" or "unsupported", naming the field.
 * @see CRI v1 RuntimeService.RunPodSandbox; Docker API POST /containers/create
 */
export function sandboxSpec(
  config: PodSandboxConfig,
  runtimeHandler: string,
  sandboxImage: string,
  env: EngineEnvironment,
  files: { readonly seccompProfile?: string | undefined } = {},
): DockerContainerSpec {
  refuseUnsupported(config, "config");
  if (config.dnsConfig) resolvConf(config.dnsConfig);
  const context = config.linux?.securityContext;
  const user = context && userAndGroup(context, "config.linux.security_context");
  const namespaces = sandboxNamespaces(context?.namespaceOptions, env.networkMode);
  const ports = portBindings(config.portMappings);
  // Docker publishes ports only on its own network. CNI has a plugin for it, and the host network needs none.
  const published = namespaces.networkMode === "default" ? ports : [];
  return {
    name: sandboxName(required(config.metadata, "config.metadata")),
    config: {
      image: sandboxImage,
      ...hostname(config.hostname, namespaces.networkMode === "host", env),
      ...(user === undefined ? {} : { user }),
      labels: sandboxLabels(config),
      healthcheckDisabled: true,
      ...(published.length > 0
        ? { exposedPorts: published.map((port) => `${port.containerPort}/${port.protocol}`) }
        : {}),
    },
    host: {
      ...hostConfig(config, runtimeHandler, env, files.seccompProfile),
      ...namespaces,
      init: false,
      ...userNamespace(env),
      ...(published.length > 0 ? { portBindings: published } : {}),
    },
  };
}

function hostConfig(
  config: PodSandboxConfig,
  runtimeHandler: string,
  env: EngineEnvironment,
  seccompProfile: string | undefined,
): DockerHostConfig {
  const context = config.linux?.securityContext;
  const field = "config.linux.security_context";
  const parent = cgroupParent(config.linux?.cgroupParent ?? "", env);
  const runtime = resolveRuntime(runtimeHandler, env);
  const groupAdd = groups(context?.supplementalGroups ?? [], field);
  const sysctls = sysctlsOf(config);
  return {
    ...(context?.readonlyRootfs ? { readonlyRootfs: true } : {}),
    ...(groupAdd.length > 0 ? { groupAdd } : {}),
    securityOpt: [
      ...selinuxLabels(context?.selinuxOptions, field),
      ...apparmorOption(context?.apparmor, "", env, field),
      "no-new-privileges",
      ...seccompOption(context, seccompProfile, env),
    ],
    ...(Object.keys(sysctls).length > 0 ? { sysctls } : {}),
    ...(parent === undefined ? {} : { cgroupParent: parent }),
    resources: { cpuShares, oomScoreAdj: clampOomScoreAdj(oomScoreAdj, env) },
    shmSizeBytes,
    ...(runtime === undefined ? {} : { runtime }),
    ...(env.logConfig ? { logConfig: env.logConfig } : {}),
    restartPolicy: "no",
  };
}

/** With the host network Docker always uses the node's host name, so the request must match it. */
function hostname(
  name: string,
  hostNetwork: boolean,
  { hostname: nodeName }: EngineEnvironment,
): { readonly hostname?: string } {
  if (name === "" || (hostNetwork && name === nodeName)) return {};
  if (hostNetwork) {
    const problem = `is ${quote(name)}, but on the node's network a pod has the node's host name`;
    throw invalid("config.hostname", `${problem}${nodeName === undefined ? "" : `, ${quote(nodeName)}`}`);
  }
  if (Buffer.byteLength(name) > longestHostname) {
    throw invalid("config.hostname", `is longer than ${longestHostname} bytes: ${quote(name)}`);
  }
  return { hostname: withoutNul(name, "config.hostname") };
}

function sysctlsOf(config: PodSandboxConfig): Record<string, string> {
  const sysctls = config.linux?.sysctls ?? {};
  for (const [name, value] of Object.entries(sysctls)) {
    if (!/^[a-zA-Z0-9][\w./:-]*$/.test(name)) {
      throw invalid("config.linux.sysctls", `contains ${quote(name)}, which is not a valid sysctl name`);
    }
    withoutNul(value, `config.linux.sysctls[${quote(name)}]`);
  }
  return { ...sysctls };
}
